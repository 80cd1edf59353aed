// SPDX-License-Identifier: Apache-2.0
//! A reader of splitfdstreams. The rules that it has to keep: a prefix is eight bytes or the end; a
//! negative one is the length of bytes that follow, at most 256 MiB; any other is the index of a
//! descriptor, which come in order, 0, 1, 2 …, each a regular file that is read from its start to
//! its end, not by its file offset.
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Error, ErrorKind, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

const INLINE_MAX: u64 = 256 * 1024 * 1024;
const FDS_MAX: usize = 253;

pub fn bad(text: String) -> Error {
    Error::new(ErrorKind::InvalidData, text)
}

/// One packet of a Unix socket, its descriptors all or none.
pub fn receive_packet(socket: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = vec![0u64; unsafe { libc::CMSG_SPACE((FDS_MAX * 4) as u32) } as usize / 8 + 1];
    let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = &mut iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control.as_mut_ptr().cast();
    msg.msg_controllen = control.len() * 8;
    let got = unsafe { libc::recvmsg(socket, &mut msg, libc::MSG_CMSG_CLOEXEC) };
    if got < 0 {
        return Err(Error::last_os_error());
    }
    let mut fds = Vec::new();
    let mut c = unsafe { libc::CMSG_FIRSTHDR(&msg) };
    while !c.is_null() {
        let head = unsafe { *c };
        if head.cmsg_level == libc::SOL_SOCKET && head.cmsg_type == libc::SCM_RIGHTS {
            let n = (head.cmsg_len - unsafe { libc::CMSG_LEN(0) } as usize) / 4;
            for i in 0..n {
                let at = unsafe { libc::CMSG_DATA(c).cast::<RawFd>().add(i) };
                fds.push(unsafe { OwnedFd::from_raw_fd(at.read_unaligned()) });
            }
        }
        c = unsafe { libc::CMSG_NXTHDR(&msg, c) };
    }
    if msg.msg_flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0 {
        return Err(bad("a message was cut; ulimit -n?".into()));
    }
    Ok((got as usize, fds))
}

/// One message of the channel: 1 to 253 descriptors.
fn receive(socket: RawFd) -> io::Result<Vec<OwnedFd>> {
    let (got, fds) = receive_packet(socket, &mut [0u8; 64])?;
    if got == 0 || fds.is_empty() {
        return Err(bad("the channel ended before a descriptor that the stream needs".into()));
    }
    Ok(fds)
}

/// A prefix, or None at the end of the stream.
fn prefix(stream: &mut impl Read) -> io::Result<Option<i64>> {
    let mut bytes = [0u8; 8];
    let mut n = 0;
    while n < 8 {
        match stream.read(&mut bytes[n..])? {
            0 if n == 0 => return Ok(None),
            0 => return Err(bad("the stream ends inside a prefix".into())),
            got => n += got,
        }
    }
    Ok(Some(i64::from_le_bytes(bytes)))
}

fn copy_file(file: &File, out: &mut impl Write) -> io::Result<()> {
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(bad("a descriptor is no regular file".into()));
    }
    let mut buffer = vec![0u8; 128 * 1024];
    let mut at = 0;
    loop {
        let n = file.read_at(&mut buffer, at)?;
        if n == 0 {
            break;
        }
        out.write_all(&buffer[..n])?;
        at += n as u64;
    }
    if at != meta.len() {
        return Err(bad("a file changed while it was read".into()));
    }
    Ok(())
}

fn copy_inline(stream: &mut impl Read, n: u64, out: &mut impl Write) -> io::Result<()> {
    if n > INLINE_MAX {
        return Err(bad(format!("an inline chunk of {n} bytes")));
    }
    if io::copy(&mut stream.take(n), out)? != n {
        return Err(bad("the stream ends inside an inline chunk".into()));
    }
    Ok(())
}

/// The whole stream as a tar; `on_file` is called with each file and its index. How many came.
pub fn convert(
    stream: &mut impl Read,
    channel: RawFd,
    out: &mut impl Write,
    mut on_file: impl FnMut(i64, &File) -> io::Result<()>,
) -> io::Result<i64> {
    let mut queue: VecDeque<OwnedFd> = VecDeque::new();
    let mut expected = 0i64;
    while let Some(p) = prefix(stream)? {
        if p < 0 {
            copy_inline(stream, p.unsigned_abs(), out)?;
            continue;
        }
        if p != expected {
            return Err(bad(format!("index {p} where {expected} has to come")));
        }
        expected += 1;
        if queue.is_empty() {
            queue.extend(receive(channel)?);
        }
        let file = File::from(queue.pop_front().unwrap());
        copy_file(&file, out)?;
        on_file(p, &file)?;
    }
    if !queue.is_empty() {
        return Err(bad("more descriptors than the stream refers to".into()));
    }
    out.flush()?;
    Ok(expected)
}
