// SPDX-License-Identifier: Apache-2.0
//! A consumer of a splitfdstream: the stream on standard input, the descriptors over an inherited
//! Unix socket, the tar on standard output.
//!
//!     splitfd get-layer --fds=N IMAGE LAYER | splitfd-to-tar M
//!
//! (N and M are the two ends of a socket pair.)
use splitfd_to_tar::{bad, convert};
use std::io;
use std::os::fd::RawFd;

fn run() -> io::Result<()> {
    let socket: RawFd = match std::env::args().nth(1).map(|a| a.parse()) {
        Some(Ok(n)) => n,
        _ => return Err(bad("usage: splitfd-to-tar SOCKET".into())),
    };
    let mut stream = io::BufReader::with_capacity(65536, io::stdin().lock());
    let mut out = io::BufWriter::with_capacity(65536, io::stdout().lock());
    convert(&mut stream, socket, &mut out, |_, _| Ok(()))?;
    Ok(())
}

fn main() {
    if let Err(e) = run() {
        eprintln!("splitfd-to-tar: {e}");
        std::process::exit(1);
    }
}
