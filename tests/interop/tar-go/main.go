// SPDX-License-Identifier: Apache-2.0

// Compares splitfd's tar parser (tests/lib/tar-entries) with Go's archive/tar, which podman reads
// layers with: names, types, owners, modes, times, sizes and content of every entry.
//
//	tar-go TOOL random N SEED    N generated tars
//	tar-go TOOL files FILE…      these tars
//
// Both read the same entries, or both refuse the tar. Where only archive/tar refuses it, splitfd may
// read it as cfsctl does and must say so. Prints a line for each tar that differs (at most 20, and
// keeps them below $TAR_GO_KEEP), then the sums; exits with 1 if one differs.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

const expandedMax = 1 << 20

var table = crc64.MakeTable(crc64.ISO)

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			fmt.Fprintf(&b, "\\x%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String() + `"`
}

func isFile(t byte) bool { return t == tar.TypeReg || t == tar.TypeCont || t == tar.TypeGNUSparse }

// As lchown(2) takes it: -1 leaves the owner, who is root.
func owner(id int) uint32 {
	if uint32(id) == 1<<32-1 {
		return 0
	}
	return uint32(id)
}

func line(h *tar.Header, content []byte) string {
	link := ""
	if h.Typeflag == tar.TypeLink || h.Typeflag == tar.TypeSymlink {
		link = h.Linkname
	}
	s := string([]byte{h.Typeflag}) + fmt.Sprintf(" %s %s %o %d %d %d.%09d", quote(h.Name), quote(link), uint32(h.Mode)&07777,
		owner(h.Uid), owner(h.Gid), h.ModTime.Unix(), h.ModTime.Nanosecond())
	if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock {
		s += fmt.Sprintf(" %d,%d", uint32(h.Devmajor), uint32(h.Devminor))
	}
	if isFile(h.Typeflag) {
		s += fmt.Sprintf(" %d %016x", h.Size, crc64.Checksum(content, table))
	}
	var xattrs []string
	for k, v := range h.PAXRecords {
		if strings.HasPrefix(k, "SCHILY.xattr.") {
			xattrs = append(xattrs, " "+quote(strings.TrimPrefix(k, "SCHILY.xattr."))+"="+quote(v))
		}
	}
	sort.Strings(xattrs)
	s += strings.Join(xattrs, "")
	return s
}

// What archive/tar reads. The error is the refusal.
func readGo(data []byte) (lines []string, err error) {
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		var content []byte
		if isFile(h.Typeflag) && h.Size <= expandedMax {
			if content, err = io.ReadAll(r); err != nil {
				return lines, err
			}
		}
		if h.Typeflag != tar.TypeXGlobalHeader {
			lines = append(lines, line(h, content))
		}
	}
}

// Xattrs of one name: the last counts; sorted, as line has them.
func normal(s string) string {
	f := strings.Split(s, " ")
	n := len(f)
	for n > 0 && strings.Contains(f[n-1], `"="`) {
		n--
	}
	values := map[string]string{}
	var keys []string
	for _, x := range f[n:] {
		k, v, _ := strings.Cut(x, "=")
		if _, there := values[k]; !there {
			keys = append(keys, k)
		}
		values[k] = v
	}
	f = f[:n:n]
	for _, k := range keys {
		f = append(f, k+"="+values[k])
	}
	sort.Strings(f[n:])
	return strings.Join(f, " ")
}

type tool struct {
	in  io.Writer
	out *bufio.Reader
}

type result struct {
	lines             []string
	refused           bool
	rules, difference string
	why               string
}

func start(path string) *tool {
	c := exec.Command(path)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	check(err)
	out, err := c.StdoutPipe()
	check(err)
	check(c.Start())
	return &tool{in, bufio.NewReaderSize(out, 1<<20)}
}

func (t *tool) read(data []byte) (r result) {
	go func() {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(data)))
		t.in.Write(append(n[:], data...))
	}()
	for {
		s, err := t.out.ReadString('\n')
		if err != nil {
			r.refused, r.why, r.rules = true, "the program died", "crash"
			return
		}
		s = strings.TrimSuffix(s, "\n")
		f := strings.SplitN(s, " ", 3)
		switch f[0] {
		case "difference":
			r.difference = s
		case "end":
			r.rules = f[1]
			return
		case "refused":
			r.refused, r.rules, r.why = true, f[1], s
			return
		default:
			r.lines = append(r.lines, normal(s))
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

var counts = map[string]int{}

// "" where both agree.
func compare(want []string, err error, got result) string {
	switch {
	case got.rules == "crash":
		return "the parser crashed"
	case err != nil && got.refused:
		counts["both refuse"]++
		return ""
	case err != nil && got.rules == "cfsctl":
		counts["archive/tar refuses, read as cfsctl does"]++
		return ""
	case err != nil:
		return fmt.Sprintf("archive/tar says %v, splitfd reads it by the rules of %s", err, got.rules)
	case got.refused:
		return "archive/tar reads it, splitfd: " + got.why
	case got.rules == "cfsctl":
		return "archive/tar reads it, splitfd reads it only as cfsctl does"
	}
	for i := 0; i < len(want) || i < len(got.lines); i++ {
		a, b := "(none)", "(none)"
		if i < len(want) {
			a = want[i]
		}
		if i < len(got.lines) {
			b = got.lines[i]
		}
		if a != b {
			return fmt.Sprintf("entry %d: archive/tar %s, splitfd %s", i, a, b)
		}
	}
	switch {
	case got.difference != "":
		counts["same, with a difference to cfsctl"]++
	case got.rules == "podman":
		counts["same, refused by cfsctl"]++
	default:
		counts["same"]++
	}
	return ""
}

func main() {
	t := start(os.Args[1])
	differ, n := 0, 0
	try := func(name string, data []byte) {
		n++
		want, err := readGo(data)
		what := compare(want, err, t.read(data))
		if what == "" {
			return
		}
		if differ++; differ <= 20 {
			fmt.Printf("%s: %s\n", name, what)
		}
		if dir := os.Getenv("TAR_GO_KEEP"); dir != "" && differ <= 20 {
			check(os.WriteFile(filepath.Join(dir, name+".tar"), data, 0o644))
		}
		if strings.HasSuffix(what, "crashed") {
			t = start(os.Args[1])
		}
	}
	switch os.Args[2] {
	case "random":
		count, err := strconv.Atoi(os.Args[3])
		check(err)
		seed, err := strconv.ParseInt(os.Args[4], 10, 64)
		check(err)
		for i := 0; i < count; i++ {
			try(fmt.Sprintf("random-%d", seed+int64(i)), generate(seed+int64(i)))
		}
	case "files":
		for _, f := range os.Args[3:] {
			data, err := os.ReadFile(f)
			check(err)
			try(filepath.Base(f), data)
		}
	}
	var keys []string
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		fmt.Printf("%7d %s\n", counts[k], k)
	}
	fmt.Printf("%7d differ of %d\n", differ, n)
	if differ > 0 {
		os.Exit(1)
	}
}
