// SPDX-License-Identifier: Apache-2.0

// jsonrpc-go is a client of container-libs' JSON-RPC dialect, on nothing but Go's own library:
//
//	jsonrpc-go SOCKET IMAGE
//
// One connection for everything; of a layer's descriptors few are open at a time. For each layer,
// base first, a line: its diff_id by the config, and the sha256 of the tar that was fetched.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// connection keeps what came and was not used yet. Descriptors belong to messages by order alone.
type connection struct {
	socket *net.UnixConn
	data   []byte
	fds    []*os.File
	id     int
}

type answer struct {
	ID     int
	Result struct {
		Manifest, Config string
		LayerDigests     []string
		StreamSize       int64
	}
	Error *struct {
		Code    int
		Message string
	}
	Fds int
}

func (c *connection) receive() error {
	data, control := make([]byte, 4096), make([]byte, syscall.CmsgSpace(253*4))
	n, m, flags, _, err := c.socket.ReadMsgUnix(data, control)
	if err != nil {
		return err
	}
	if n == 0 || flags&syscall.MSG_CTRUNC != 0 {
		return errors.New("the service closed the connection, or descriptors were lost")
	}
	c.data = append(c.data, data[:n]...)
	messages, err := syscall.ParseSocketControlMessage(control[:m])
	if err != nil {
		return err
	}
	for _, message := range messages {
		fds, err := syscall.ParseUnixRights(&message)
		if err != nil {
			return err
		}
		for _, fd := range fds {
			c.fds = append(c.fds, os.NewFile(uintptr(fd), "received"))
		}
	}
	return nil
}

// call gives the answer as soon as its JSON is complete; its descriptors are taken by next.
func (c *connection) call(method string, params map[string]string) (a answer, err error) {
	c.id++
	request, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": method, "params": params, "id": c.id})
	if err != nil {
		return a, err
	}
	if _, err = c.socket.Write(request); err != nil {
		return a, err
	}
	for {
		d := json.NewDecoder(bytes.NewReader(c.data))
		err = d.Decode(&a)
		if err == nil {
			c.data = c.data[d.InputOffset():]
			break
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return a, err
		}
		if err = c.receive(); err != nil {
			return a, err
		}
	}
	if a.Error != nil {
		return a, fmt.Errorf("%s: %d: %s", method, a.Error.Code, a.Error.Message)
	}
	if a.ID != c.id {
		return a, fmt.Errorf("%s: the answer is for %d, not %d", method, a.ID, c.id)
	}
	return a, nil
}

// next is the next descriptor of the last answer; only spaces may come before it.
func (c *connection) next() (*os.File, error) {
	for len(c.fds) == 0 {
		if len(bytes.Trim(c.data, " ")) != 0 {
			return nil, errors.New("something came before the last descriptor")
		}
		c.data = nil
		if err := c.receive(); err != nil {
			return nil, err
		}
	}
	f := c.fds[0]
	c.fds = c.fds[1:]
	return f, nil
}

// chunk writes the next chunk of a layer's stream; *files counts the files that were referred to.
func (c *connection) chunk(stream io.Reader, files *int64, w io.Writer) (int64, error) {
	var prefix int64
	if err := binary.Read(stream, binary.LittleEndian, &prefix); err != nil {
		return 0, err
	}
	if prefix < 0 {
		_, err := io.CopyN(w, stream, -prefix)
		return 8 - prefix, err
	}
	if prefix != *files {
		return 0, fmt.Errorf("descriptor %d is referred to where %d has to come", prefix, *files)
	}
	*files++
	f, err := c.next()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return 8, err
}

func (c *connection) tar(a answer, w io.Writer) error {
	stream, err := c.next()
	if err != nil {
		return err
	}
	defer stream.Close()
	var files int64
	for at := int64(0); at < a.Result.StreamSize; {
		n, err := c.chunk(stream, &files, w)
		if err != nil {
			return err
		}
		at += n
	}
	if files != int64(a.Fds)-1 || len(c.fds) != 0 {
		return fmt.Errorf("%d files are referred to, %d descriptors came", files, a.Fds)
	}
	return nil
}

func run(path, name string) error {
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	c := &connection{socket: socket}
	image, err := c.call("GetImage", map[string]string{"imageId": name})
	if err != nil {
		return err
	}
	var config struct{ Rootfs struct{ Diff_ids []string } }
	if err := json.Unmarshal([]byte(image.Result.Config), &config); err != nil {
		return err
	}
	ids := image.Result.LayerDigests
	for i, diffID := range config.Rootfs.Diff_ids {
		params := map[string]string{"layerId": ids[len(ids)-1-i], "parentId": ""}
		if i > 0 {
			params["parentId"] = ids[len(ids)-i]
		}
		layer, err := c.call("GetSplitFDStream", params)
		if err != nil {
			return err
		}
		hash := sha256.New()
		if err := c.tar(layer, hash); err != nil {
			return fmt.Errorf("layer %s: %w", diffID, err)
		}
		fmt.Printf("%s sha256:%x\n", diffID, hash.Sum(nil))
	}
	return nil
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "jsonrpc-go:", err)
		os.Exit(1)
	}
}
