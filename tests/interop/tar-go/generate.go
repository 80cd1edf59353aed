// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand"
	"strconv"
	"strings"
)

// A tar in the making. Checksums are right, numbers and magics are often unusual.
type maker struct {
	*rand.Rand
	b []byte
}

func (m *maker) pick(s ...string) string { return s[m.Intn(len(s))] }
func (m *maker) rarely(n int) bool       { return m.Intn(n) == 0 }

func pad(b []byte) []byte { return append(b, make([]byte, -len(b)&511)...) }

func octal(v int64, width int) string { return fmt.Sprintf("%0*o\x00", width-1, v) }

func binary256(v int64, width int) string {
	b := make([]byte, width)
	for i := width - 1; i >= 0; i-- {
		b[i] = byte(v)
		v >>= 8
	}
	b[0] |= 0x80
	return string(b)
}

// A number as writers write it: octal in several shapes, or base-256.
func (m *maker) number(v int64, width int) string {
	s := strconv.FormatInt(v, 8)
	if v < 0 || len(s) >= width || m.rarely(12) {
		return binary256(v, width)
	}
	switch m.Intn(14) {
	case 0:
		return s + " "
	case 1:
		return fmt.Sprintf("%*s ", width-2, s)
	case 2:
		return fmt.Sprintf("%0*o", width, v)
	case 3:
		return " " + s + "\x00"
	case 4:
		return "\x00" + s
	}
	return octal(v, width)
}

func (m *maker) odd(width int) string {
	return m.pick("", "8", "+7", "7\t", "-1", "7 7", "7\x007", strings.Repeat("7", width), strings.Repeat("\xff", width),
		"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\xc0", "\x80")
}

type header struct {
	name, link, prefix, magic     string
	mode, uid, gid, size, mtime   string
	major, minor, tail, typ       string
	atime, ctime, realSize, spMap string
	signed                        bool
}

func (h *header) bytes() []byte {
	b := make([]byte, 512)
	put := func(at, width int, s string) { copy(b[at:at+width], s) }
	put(0, 100, h.name)
	put(100, 8, h.mode)
	put(108, 8, h.uid)
	put(116, 8, h.gid)
	put(124, 12, h.size)
	put(136, 12, h.mtime)
	put(156, 1, h.typ)
	put(157, 100, h.link)
	put(257, 8, h.magic)
	put(329, 8, h.major)
	put(337, 8, h.minor)
	put(345, 155, h.prefix)
	put(345, 12, h.atime)
	put(357, 12, h.ctime)
	put(386, 97, h.spMap)
	put(483, 12, h.realSize)
	put(508, 4, h.tail)
	return sum(b, h.signed)
}

func sum(b []byte, signed bool) []byte {
	copy(b[148:156], "        ")
	n := int64(0)
	for _, c := range b {
		if signed {
			n += int64(int8(c))
		} else {
			n += int64(c)
		}
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", n))
	return b
}

const (
	ustar = "ustar\x0000"
	gnu   = "ustar  \x00"
)

func (m *maker) name() string {
	switch m.Intn(12) {
	case 0:
		return ""
	case 1:
		return strings.Repeat("n", 100)
	case 2:
		return "d/" + m.pick("f\xff", "\xc3\xa4", "a b", "./x", "x//y", "../z", "/abs")
	case 3:
		return m.pick("usr/", "d/e/")
	}
	return fmt.Sprintf("usr/f%d", m.Intn(5))
}

func (m *maker) plain(typ string) *header {
	h := &header{name: m.name(), typ: typ, magic: ustar,
		mode: m.number(int64(m.Intn(010000)), 8), uid: m.number(int64(m.Intn(3000)), 8),
		gid: m.number(int64(m.Intn(3000)), 8), size: octal(0, 12),
		mtime: m.number(int64(m.Intn(2000000000)), 12), major: octal(0, 8), minor: octal(0, 8)}
	switch m.Intn(8) {
	case 0, 1:
		h.magic = gnu
	case 2:
		h.magic = m.pick("", "ustar\x00", "ustar\x0001", "ustar ", "tar", "ustar  ")
	}
	if m.rarely(6) {
		h.prefix = m.pick("pre/fix", "p", "\xc3\xa4", strings.Repeat("p", 155), "0000000001\x00", "12345")
	}
	if h.magic == gnu && m.rarely(4) {
		h.prefix = ""
		h.atime, h.ctime = m.pick("", octal(77, 12), "junk"), m.pick("", octal(78, 12), "\xff\xffx")
	}
	if m.rarely(20) {
		h.tail = "tar\x00"
		h.magic = ustar
		if m.rarely(2) {
			h.prefix = strings.Repeat("q", 131)
		}
	}
	if typ == "1" || typ == "2" || m.rarely(20) {
		h.link = m.pick("usr/f0", "f1", strings.Repeat("l", 100), "/x", "")
	}
	if typ == "3" || typ == "4" || m.rarely(20) {
		h.major, h.minor = m.number(int64(m.Intn(300)), 8), m.number(int64(m.Intn(300)), 8)
	}
	h.signed = m.rarely(8)
	for _, f := range []*string{&h.mode, &h.uid, &h.gid, &h.mtime, &h.major, &h.minor} {
		if m.rarely(400) {
			*f = m.odd(len(*f))
		}
		if m.rarely(300) {
			*f = binary256(m.Int63()-m.Int63(), 12)
		}
	}
	return h
}

func record(k, v string) string {
	n := len(k) + len(v) + 3
	for n != len(k)+len(v)+3+len(strconv.Itoa(n)) {
		n = len(k) + len(v) + 3 + len(strconv.Itoa(n))
	}
	return fmt.Sprintf("%d %s=%s\n", n, k, v)
}

func (m *maker) paxRecord() string {
	num := m.pick("0", "1000", "70000", "4294967295", "4294967296", "-1", "+5", "")
	if m.rarely(20) {
		num = m.pick("x", "9223372036854775807", "9223372036854775808", "99999999999999999999", "1_0")
	}
	switch m.Intn(13) {
	case 0, 1:
		return record("path", m.pick("usr/pax", "usr/"+strings.Repeat("long", 60), "", "usr/d/", "usr/\xff"))
	case 2:
		return record("linkpath", m.pick("usr/f1", strings.Repeat("k", 300), "", "a\x00b"))
	case 3:
		return record("uid", num)
	case 4:
		return record("gid", num)
	case 5:
		return record("mtime", m.pick("1.5", "12345.123456789123", "-1.25", "-0.5", "7", "", "1.", "-5", "+1.5"))
	case 6:
		return record(m.pick("atime", "ctime"), m.pick("1.5", "", "12.25"))
	case 7:
		return record("SCHILY.xattr."+m.pick("user.a", "user.b", "security.capability"), m.pick("v", "", "a\x00b", "w=x"))
	case 8:
		return record(m.pick("comment", "uname", "gname", "k\xff", "SCHILY.xattr."), m.pick("text", ""))
	case 9:
		if !m.rarely(8) {
			break
		}
		return record("GNU.sparse."+m.pick("name", "major", "minor", "size", "realsize", "numblocks", "map", "offset"),
			m.pick("0", "1", "", "x", "0,5"))
	}
	if m.rarely(30) {
		return record(m.pick("path", "linkpath", "mtime", "size", "comment", "a\x00b", "uname"), m.pick("a\x00b", "x", "1.x", ".5", "1.5.5"))
	}
	return record("path", fmt.Sprintf("usr/p%d", m.Intn(5)))
}

func (m *maker) meta(typ string, body []byte) {
	h := m.plain(typ)
	h.name, h.prefix = "././@LongLink", ""
	if typ == "x" || typ == "g" {
		h.magic = m.pick(ustar, ustar, ustar, gnu, "")
	} else {
		h.magic = m.pick(gnu, gnu, gnu, ustar, "")
	}
	h.size = m.number(int64(len(body)), 12)
	m.b = append(m.b, h.bytes()...)
	m.b = append(m.b, pad(body)...)
}

func (m *maker) extensions() {
	for m.rarely(3) {
		switch m.Intn(8) {
		case 0:
			m.meta("g", []byte(m.paxRecord()))
		case 1, 2:
			m.meta("L", []byte(m.pick("usr/long", "usr/"+strings.Repeat("L", 200)+"/", "", "a\x00b", "\x00x")+m.pick("\x00", "", "\x00junk")))
		case 3:
			m.meta("K", []byte(m.pick("usr/f2", strings.Repeat("K", 200), "")+m.pick("\x00", "")))
		default:
			s := ""
			for n := m.Intn(4); n >= 0; n-- {
				s += m.paxRecord()
			}
			if m.rarely(15) {
				s += m.pick("junk", " ", "5 a\n", "0 x=y\n", "4 =\n", "6 ab=\n", "\x00")
			}
			m.meta("x", []byte(s))
		}
	}
}

func (m *maker) content(n int) []byte {
	b := make([]byte, n)
	m.Read(b)
	return b
}

func (m *maker) fileSize() int {
	switch m.Intn(6) {
	case 0:
		return 0
	case 1:
		return 512 * m.Intn(4)
	case 2:
		return 60 + m.Intn(10)
	}
	return m.Intn(3000)
}

// A map of up to n ranges; how many bytes they have, and where the last ends.
func (m *maker) ranges(n int) (all [][2]int64, stored, end int64) {
	for i := 0; i < n; i++ {
		end += int64(m.Intn(3) * m.Intn(1000))
		size := int64(m.Intn(700))
		all = append(all, [2]int64{end, size})
		stored += size
		end += size
	}
	if m.rarely(80) && len(all) > 0 {
		all[m.Intn(len(all))][0] += int64(m.Intn(2000) - 1000)
	}
	return
}

func (m *maker) oldSparse() {
	all, stored, end := m.ranges(m.Intn(50))
	h := m.plain("S")
	h.magic = m.pick(gnu, gnu, gnu, gnu, gnu, gnu, gnu, gnu, gnu, ustar)
	h.prefix, h.tail = "", ""
	h.size = octal(stored, 12)
	h.realSize = octal(end+int64(m.Intn(3)*m.Intn(1000)), 12)
	part := func(n, size int) string {
		s := ""
		for i := 0; i < n && len(all) > 0; i++ {
			s += octal(all[0][0], 12) + octal(all[0][1], 12)
			all = all[1:]
		}
		s += strings.Repeat("\x00", size-1-len(s))
		if len(all) > 0 {
			return s + "\x01"
		}
		return s + "\x00"
	}
	h.spMap = part(4, 97)
	m.b = append(m.b, h.bytes()...)
	for len(all) > 0 {
		m.b = append(m.b, pad([]byte(part(21, 505)))...)
	}
	m.b = append(m.b, pad(m.content(int(stored)))...)
}

func (m *maker) paxSparse() {
	all, stored, end := m.ranges(m.Intn(6))
	size := end + int64(m.Intn(3)*m.Intn(1000))
	h := m.plain(m.pick("0", "0", "0", "7", "\x00", "5"))
	s, front := record("GNU.sparse.name", "usr/sparse"), ""
	version := m.Intn(3)
	switch version {
	case 0:
		s += record("GNU.sparse.size", fmt.Sprint(size)) + record("GNU.sparse.numblocks", fmt.Sprint(len(all)))
		for _, r := range all {
			s += record("GNU.sparse.offset", fmt.Sprint(r[0])) + record("GNU.sparse.numbytes", fmt.Sprint(r[1]))
		}
	case 1:
		list := []string{}
		for _, r := range all {
			list = append(list, fmt.Sprint(r[0]), fmt.Sprint(r[1]))
		}
		s += record("GNU.sparse.size", fmt.Sprint(size)) + record("GNU.sparse.numblocks", fmt.Sprint(len(all))) +
			record("GNU.sparse.map", strings.Join(list, ","))
	case 2:
		s += record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.realsize", fmt.Sprint(size))
		front = fmt.Sprintf("%d\n", len(all))
		for _, r := range all {
			front += fmt.Sprintf("%d\n%d\n", r[0], r[1])
		}
		front = string(pad([]byte(front)))
	}
	if m.rarely(10) {
		s += record("GNU.sparse.numblocks", m.pick("0", "x", ""))
	}
	m.meta("x", []byte(s))
	body := append([]byte(front), m.content(int(stored))...)
	if m.rarely(20) {
		body = append(body, 'x')
	}
	h.size = octal(int64(len(body)), 12)
	m.b = append(m.b, h.bytes()...)
	m.b = append(m.b, pad(body)...)
}

func (m *maker) entry() {
	m.extensions()
	switch m.Intn(12) {
	case 0:
		m.oldSparse()
		return
	case 1:
		m.paxSparse()
		return
	}
	typ := m.pick("0", "0", "0", "0", "\x00", "7", "1", "2", "3", "4", "5", "5", "6", "V", "D", "Z")
	h := m.plain(typ)
	n := m.fileSize()
	h.size = m.number(int64(n), 12)
	if strings.Contains("123456", typ) {
		if !m.rarely(4) {
			h.size = octal(0, 12)
			n = 0
		} else if !m.rarely(10) {
			n = 0
		}
	}
	if m.rarely(100) {
		h.size = m.odd(12)
	}
	m.b = append(m.b, h.bytes()...)
	m.b = append(m.b, pad(m.content(n))...)
}

// The same seed gives the same tar.
func generate(seed int64) []byte {
	m := &maker{Rand: rand.New(rand.NewSource(seed))}
	for n := m.Intn(6); n >= 0; n-- {
		m.entry()
		if m.rarely(200) {
			m.b = append(m.b, make([]byte, 512)...)
		}
	}
	switch m.Intn(20) {
	case 0: // no end
	case 1:
		m.b = append(m.b, make([]byte, 512)...)
	case 2:
		m.meta(m.pick("x", "L", "K"), []byte(record("path", "lone")))
		m.b = append(m.b, make([]byte, 1024*m.Intn(2))...)
	case 3:
		m.b = m.b[:m.Intn(len(m.b))]
	default:
		m.b = append(m.b, make([]byte, 1024)...)
	}
	if m.rarely(10) && len(m.b) >= 512 { // a byte of a header, with its sum put right
		at := m.Intn(len(m.b)/512) * 512
		m.b[at+m.Intn(512)] = byte(m.Intn(256))
		sum(m.b[at:at+512], false)
	}
	return m.b
}
