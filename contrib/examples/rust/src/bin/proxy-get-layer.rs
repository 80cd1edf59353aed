// SPDX-License-Identifier: Apache-2.0
//! A layer through the image proxy's GetLayerSplitfd, as a tar on standard output.
//!
//!     proxy-get-layer SKOPEO IMAGE LAYER-NUMBER [CLONE-DIR] > layer.tar
//!
//! SKOPEO is splitfd under that name. With CLONE-DIR every file is also cloned there under its index:
//! on the store's file system no byte is copied for it. The messages are those of proposal.md.
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use splitfd_to_tar::{bad, convert};
use std::fs::File;
use std::io::{self, Error, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PACKET_MAX: usize = 32 * 1024;
const FICLONE: libc::c_ulong = 0x40049409;

struct Proxy {
    socket: OwnedFd,
    process: Child,
}

struct Reply {
    value: Value,
    pipeid: u64,
    fds: Vec<OwnedFd>,
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) } < 0 {
        return Err(Error::last_os_error());
    }
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

impl Proxy {
    fn start(program: &str) -> io::Result<Proxy> {
        let (socket, theirs) = pair()?;
        let process = Command::new(program)
            .arg("experimental-image-proxy")
            .stdin(theirs)
            .stdout(Stdio::null())
            .spawn()?;
        let proxy = Proxy { socket, process };
        proxy.call("Initialize", json!([]))?;
        Ok(proxy)
    }

    fn call(&self, method: &str, args: Value) -> io::Result<Reply> {
        let request = json!({ "method": method, "args": args }).to_string();
        let fd = self.socket.as_raw_fd();
        let sent = unsafe { libc::send(fd, request.as_ptr().cast(), request.len(), libc::MSG_NOSIGNAL) };
        if sent < 0 {
            return Err(Error::last_os_error());
        }
        let mut packet = vec![0u8; PACKET_MAX];
        let (n, fds) = splitfd_to_tar::receive_packet(fd, &mut packet)?;
        let mut reply: Value = serde_json::from_slice(&packet[..n])?;
        if reply["success"] != json!(true) {
            return Err(bad(format!("{method}: {}", reply["error"])));
        }
        Ok(Reply { value: reply["value"].take(), pipeid: reply["pipeid"].as_u64().unwrap_or(0), fds })
    }

    /// Closes the socket, which is what the server waits for.
    fn stop(self) -> io::Result<()> {
        let Proxy { socket, mut process } = self;
        drop(socket);
        match process.wait()?.success() {
            true => Ok(()),
            false => Err(bad("the proxy failed".into())),
        }
    }
}

struct Hashed<W: Write>(W, Sha256);

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let n = self.0.write(data)?;
        self.1.update(&data[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn clone(from: &File, to: &Path) -> io::Result<()> {
    let to = File::create(to)?;
    match unsafe { libc::ioctl(to.as_raw_fd(), FICLONE, from.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

fn two(fds: Vec<OwnedFd>) -> io::Result<(File, OwnedFd)> {
    let [stream, channel]: [OwnedFd; 2] =
        fds.try_into().map_err(|_| bad("two descriptors are expected".into()))?;
    Ok((File::from(stream), channel))
}

fn run(args: &[String]) -> io::Result<()> {
    let [_, program, image, number, directory @ ..] = args else {
        return Err(bad("usage: proxy-get-layer SKOPEO IMAGE LAYER-NUMBER [CLONE-DIR]".into()));
    };
    let number: usize = number.parse().map_err(|_| bad("which layer?".into()))?;
    let proxy = Proxy::start(program)?;
    let image = proxy.call("OpenImage", json!([image]))?.value;
    let layers = proxy.call("GetLayerInfo", json!([image]))?.value;
    let digest = layers[number]["digest"].as_str().ok_or_else(|| bad("no such layer".into()))?;
    let reply = proxy.call("GetLayerSplitfd", json!([image, digest]))?;
    let (stream, channel) = two(reply.fds)?;
    let mut out = Hashed(io::BufWriter::new(io::stdout().lock()), Sha256::new());
    let channel_fd: RawFd = channel.as_raw_fd();
    let n = convert(&mut io::BufReader::new(stream), channel_fd, &mut out, |i, file| {
        match directory.first() {
            Some(d) => clone(file, &Path::new(d).join(i.to_string())),
            None => Ok(()),
        }
    })?;
    // The stream's end is not success: FinishPipe tells, and the digest.
    proxy.call("FinishPipe", json!([reply.pipeid]))?;
    let got: String = out.1.finalize().iter().map(|b| format!("{b:02x}")).collect();
    if digest != format!("sha256:{got}") {
        return Err(bad(format!("the layer has another digest than {digest}")));
    }
    eprintln!("{digest}: {n} files by descriptor");
    proxy.stop()
}

fn main() {
    if let Err(e) = run(&std::env::args().collect::<Vec<_>>()) {
        eprintln!("proxy-get-layer: {e}");
        std::process::exit(1);
    }
}
