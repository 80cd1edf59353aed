// SPDX-License-Identifier: Apache-2.0
//! The crate composefs-splitdirfdstream as reader and as writer.
//!
//!     wire-rust tar SOCKET            a splitdirfdstream on stdin, its directories over SOCKET:
//!                                     the tar on stdout, by the crate's reconstruct()
//!     wire-rust relay SOCKET SOCKET   reads by the crate's reader, writes by the crate's writer,
//!                                     passes the directories on
use composefs_splitdirfdstream::{reconstruct, Chunk, SplitdirfdstreamReader, SplitdirfdstreamWriter};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

fn control() -> Vec<u64> {
    vec![0u64; 300]
}

fn receive(socket: RawFd, flags: i32) -> io::Result<Vec<OwnedFd>> {
    let mut byte = [0u8; 16];
    let mut control = control();
    let mut iov = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = &mut iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control.as_mut_ptr().cast();
    msg.msg_controllen = control.len() * 8;
    if unsafe { libc::recvmsg(socket, &mut msg, libc::MSG_CMSG_CLOEXEC | flags) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut fds = Vec::new();
    let c = unsafe { libc::CMSG_FIRSTHDR(&msg) };
    if !c.is_null() {
        let n = (unsafe { (*c).cmsg_len } - unsafe { libc::CMSG_LEN(0) } as usize) / 4;
        for i in 0..n {
            let at = unsafe { libc::CMSG_DATA(c).cast::<RawFd>().add(i) };
            fds.push(unsafe { OwnedFd::from_raw_fd(at.read_unaligned()) });
        }
    }
    Ok(fds)
}

fn send(socket: RawFd, fds: &[OwnedFd]) -> io::Result<()> {
    let mut control = control();
    let mut iov = libc::iovec { iov_base: b"x".as_ptr() as *mut _, iov_len: 1 };
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    let size = (fds.len() * 4) as u32;
    msg.msg_iov = &mut iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control.as_mut_ptr().cast();
    msg.msg_controllen = unsafe { libc::CMSG_SPACE(size) } as usize;
    unsafe {
        let c = libc::CMSG_FIRSTHDR(&msg);
        (*c).cmsg_level = libc::SOL_SOCKET;
        (*c).cmsg_type = libc::SCM_RIGHTS;
        (*c).cmsg_len = libc::CMSG_LEN(size) as usize;
        for (i, fd) in fds.iter().enumerate() {
            libc::CMSG_DATA(c).cast::<RawFd>().add(i).write_unaligned(fd.as_raw_fd());
        }
        if libc::sendmsg(socket, &msg, 0) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The whole stream, then the directories: all have been sent by then.
fn read_all(socket: RawFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    let mut dirs = Vec::new();
    loop {
        match receive(socket, libc::MSG_DONTWAIT) {
            Ok(more) if more.is_empty() => break,
            Ok(more) => dirs.extend(more),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    Ok((bytes, dirs))
}

fn relay(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = SplitdirfdstreamReader::new(BufReader::new(bytes));
    let mut writer = SplitdirfdstreamWriter::new(BufWriter::new(io::stdout().lock()));
    while let Some(chunk) = reader.next_chunk()? {
        match chunk {
            Chunk::Metadata(data) => writer.write_metadata(data)?,
            Chunk::InlineData(data) => writer.write_inline_data(data)?,
            Chunk::FileBackedData { dirfd_index, length, filename } => {
                writer.write_file_backed_data(dirfd_index, length, filename)?
            }
        }
    }
    writer.finish()?.flush()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let (bytes, dirs) = read_all(args[2].parse()?)?;
    match args[1].as_str() {
        "tar" => {
            let fds: Vec<_> = dirs.iter().map(|d| d.as_fd()).collect();
            let mut out = BufWriter::new(io::stdout().lock());
            reconstruct(&bytes[..], &fds, &mut out)?;
            out.flush()?;
        }
        "relay" => {
            if !dirs.is_empty() {
                send(args[3].parse()?, &dirs)?;
            }
            relay(&bytes)?;
        }
        other => return Err(format!("what is {other}?").into()),
    }
    Ok(())
}
