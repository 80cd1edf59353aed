// SPDX-License-Identifier: Apache-2.0
//! A client, and a server, of container-libs' JSON-RPC dialect on the crate jsonrpc-fdpass.
//!   jsonrpc-rust layers SOCKET IMAGE     a line for each layer, base first: its diff_id by the
//!                                        config, and the sha256 of the tar that was fetched
//!   jsonrpc-rust call SOCKET METHOD PARAMS   the answer as JSON, with the count of descriptors
//!   jsonrpc-rust relay SOCKET UPSTREAM   serves what another service gives
use jsonrpc_fdpass::{JsonRpcMessage, JsonRpcRequest, MessageWithFds, Server, UnixSocketTransport};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{copy, Read};
use std::os::fd::OwnedFd;
use tokio::net::UnixStream;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

async fn call(socket: &str, method: &str, params: Value) -> Result<(Value, Vec<OwnedFd>)> {
    let (mut sender, mut receiver) = UnixSocketTransport::new(UnixStream::connect(socket).await?).split();
    let request = JsonRpcRequest::new(method.into(), Some(params), json!("a name"));
    sender.send(MessageWithFds::new(JsonRpcMessage::Request(request), vec![])).await?;
    let answer = receiver.receive().await?;
    let value = answer.message.to_json_value()?;
    assert_eq!(value["id"], "a name");
    Ok((value, answer.file_descriptors))
}

/// The sha256 of the tar: chunks of the stream (the first descriptor) and the files that it names.
fn tar_digest(fds: Vec<OwnedFd>, stream_size: u64) -> Result<String> {
    let mut files = fds.into_iter().map(File::from);
    let mut stream = files.next().ok_or("no descriptor")?;
    assert_eq!(stream.metadata()?.len(), stream_size);
    let (mut hash, mut prefix, mut next) = (Sha256::new(), [0u8; 8], 0i64);
    loop {
        match stream.read(&mut prefix)? {
            0 => break,
            n => stream.read_exact(&mut prefix[n..])?,
        }
        let n = i64::from_le_bytes(prefix);
        if n < 0 {
            assert_eq!(copy(&mut (&stream).take(n.unsigned_abs()), &mut hash)?, n.unsigned_abs());
        } else {
            assert_eq!(n, next, "files are named in order");
            next += 1;
            copy(&mut files.next().ok_or("a file is missing")?, &mut hash)?;
        }
    }
    assert!(files.next().is_none(), "a descriptor that nothing names");
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

async fn layers(socket: &str, image: &str) -> Result<()> {
    let (answer, fds) = call(socket, "GetImage", json!({ "imageId": image })).await?;
    assert!(fds.is_empty());
    let result = &answer["result"];
    let manifest = result["manifest"].as_str().ok_or("no manifest")?;
    let config = result["config"].as_str().ok_or("no config")?;
    let digest: String = Sha256::digest(config).iter().map(|b| format!("{b:02x}")).collect();
    let manifest: Value = serde_json::from_str(manifest)?;
    assert_eq!(manifest["config"]["digest"], format!("sha256:{digest}"));
    let config: Value = serde_json::from_str(config)?;
    let diff_ids = config["rootfs"]["diff_ids"].as_array().ok_or("no diff_ids")?;
    let ids = result["layerDigests"].as_array().ok_or("no layerDigests")?;
    assert_eq!(ids.len(), diff_ids.len());
    for (diff_id, id) in diff_ids.iter().zip(ids.iter().rev()) {
        let (answer, fds) = call(socket, "GetSplitFDStream", json!({ "layerId": id })).await?;
        let size = answer["result"]["streamSize"].as_u64().ok_or_else(|| format!("no streamSize: {answer}"))?;
        println!("{} sha256:{}", diff_id.as_str().unwrap_or(""), tar_digest(fds, size)?);
    }
    Ok(())
}

async fn relay(socket: String, upstream: String) -> Result<()> {
    let mut server = Server::new();
    for method in ["GetImage", "GetSplitFDStream"] {
        let upstream = upstream.clone();
        server.register_method(method, move |name, params, _| {
            let asked = call(&upstream, name, params.unwrap_or(Value::Null));
            let answer = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(asked));
            let (mut value, fds) = answer.expect("an answer");
            Ok((Some(value["result"].take()), fds))
        });
    }
    Ok(server.listen(socket).await?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["layers", socket, image] => layers(socket, image).await,
        ["call", socket, method, params] => {
            let (answer, fds) = call(socket, method, serde_json::from_str(params)?).await?;
            println!("{}", json!({ "answer": answer, "descriptors": fds.len() }));
            Ok(())
        }
        ["relay", socket, upstream] => relay(socket.into(), upstream.into()).await,
        _ => Err("usage: layers SOCKET IMAGE | call SOCKET METHOD PARAMS | relay SOCKET UPSTREAM".into()),
    }
}
