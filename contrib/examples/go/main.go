// SPDX-License-Identifier: Apache-2.0

// splitfd-to-tar runs splitfd and turns a layer's split stream into a tar on standard output:
//
//	splitfd-to-tar SPLITFD GET-LAYER-ARGUMENT… > layer.tar
//
// It needs nothing but Go's own library. The rules of the format are those of splitfd-get-layer(1).
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

const (
	inlineMax = 256 << 20
	fdsMax    = 253
)

// channel is the socket that the descriptors come over, and those that came and are not used yet.
type channel struct {
	socket int
	queue  []int
	next   int64
}

// receive takes one message: 1 to 253 descriptors, all or none.
func (c *channel) receive() error {
	data := make([]byte, 64)
	control := make([]byte, syscall.CmsgSpace(fdsMax*4))
	_, n, flags, _, err := syscall.Recvmsg(c.socket, data, control, syscall.MSG_CMSG_CLOEXEC)
	if err != nil {
		return err
	}
	messages, err := syscall.ParseSocketControlMessage(control[:n])
	if err != nil {
		return err
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return err
		}
		c.queue = append(c.queue, fds...)
	}
	if flags&(syscall.MSG_CTRUNC|syscall.MSG_TRUNC) != 0 || len(c.queue) == 0 {
		return errors.New("the channel of the descriptors ended, or a message was cut")
	}
	return nil
}

// file is the descriptor with this index, which has to be the next.
func (c *channel) file(index int64) (*os.File, error) {
	if index != c.next {
		return nil, fmt.Errorf("index %d where %d has to come", index, c.next)
	}
	c.next++
	if len(c.queue) == 0 {
		if err := c.receive(); err != nil {
			return nil, err
		}
	}
	fd := c.queue[0]
	c.queue = c.queue[1:]
	return os.NewFile(uintptr(fd), "layer file"), nil
}

func copyFile(f *os.File, out io.Writer) error {
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("a descriptor is no regular file")
	}
	// From the start, whatever the file offset is: others may share it.
	_, err = io.CopyN(out, io.NewSectionReader(f, 0, info.Size()), info.Size())
	return err
}

func convert(stream io.Reader, c *channel, out io.Writer) error {
	var prefix [8]byte
	for {
		// io.EOF: the end at a prefix; io.ErrUnexpectedEOF: inside one.
		if _, err := io.ReadFull(stream, prefix[:]); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		k := int64(binary.LittleEndian.Uint64(prefix[:]))
		if k < 0 {
			if k < -inlineMax {
				return fmt.Errorf("an inline chunk of %d bytes", uint64(-k))
			}
			if _, err := io.CopyN(out, stream, -k); err != nil {
				return fmt.Errorf("inside an inline chunk: %w", err)
			}
			continue
		}
		f, err := c.file(k)
		if err == nil {
			err = copyFile(f, out)
		}
		if err != nil {
			return err
		}
	}
	if len(c.queue) > 0 {
		return errors.New("more descriptors than the stream refers to")
	}
	return nil
}

func run(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: splitfd-to-tar SPLITFD GET-LAYER-ARGUMENT…")
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	theirs := os.NewFile(uintptr(pair[1]), "channel")
	// The first of ExtraFiles is descriptor 3 of the child.
	child := exec.Command(args[1], append([]string{"get-layer", "--fds=3"}, args[2:]...)...)
	child.ExtraFiles = []*os.File{theirs}
	child.Stderr = os.Stderr
	stream, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	theirs.Close()
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	if err := convert(bufio.NewReaderSize(stream, 1<<16), &channel{socket: pair[0]}, out); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	// A stream that ends is complete only if its producer says so.
	return child.Wait()
}

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "splitfd-to-tar:", err)
		os.Exit(1)
	}
}
