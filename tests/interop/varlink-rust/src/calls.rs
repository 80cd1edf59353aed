// SPDX-License-Identifier: Apache-2.0
//! What the commands have in common: layers in and out of their descriptors, answers as text.
use anyhow::{anyhow, ensure, Context as _, Result};
use composefs_ctl::varlink::proxy::RepositoryProxy as _;
use composefs_ctl::varlink::{ListImageRefsReply, RepositoryError};
use composefs_ctl::varlink::oci::OciInspectReply;
use composefs_oci::varlink_types::{GetLayerParams, HasLayerReply, OciError, OciProxy as LayerProxy, OciProxyChain as _};
use composefs_splitdirfdstream::reconstruct;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::{Debug, Display};
use std::fs::File;
use std::io::BufReader;
use std::os::fd::{AsFd, OwnedFd};
use zlink::futures_util::StreamExt as _;
use zlink::tokio::unix::Connection;

pub const NONE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Methods that the crates' clients do not have.
#[zlink::proxy("org.composefs.Oci")]
pub trait NoSuch {
    async fn nothing(&mut self) -> zlink::Result<Result<(), OciError>>;
    async fn oci_mount(&mut self, handle: u64) -> zlink::Result<Result<(), OciError>>;
}
#[zlink::proxy("org.composefs.Repository")]
pub trait Refs {
    async fn list_image_refs(&mut self, handle: u64) -> zlink::Result<Result<ListImageRefsReply, RepositoryError>>;
}

pub async fn connect(socket: &str) -> Result<Connection> {
    zlink::tokio::unix::connect(socket).await.with_context(|| socket.to_string())
}

pub async fn open(c: &mut Connection, repo: &str) -> Result<u64> {
    if repo == "-" {
        return Ok(0);
    }
    let opened = got(c.open_repository(Some(repo), None, None).await)?;
    ensure!(opened.hash_algorithm.is_some() && opened.objects_device_id.is_some());
    Ok(opened.handle)
}

pub fn got<T, E: Debug>(answer: zlink::Result<Result<T, E>>) -> Result<T> {
    answer?.map_err(|e| anyhow!("{e:?}"))
}

pub fn say(method: &str, answer: &impl Serialize) -> Result<()> {
    println!("{method} {}", serde_json::to_string(answer)?);
    Ok(())
}

pub fn names_of<'a, 'f: 'a>(fields: impl Iterator<Item = &'a zlink::idl::Field<'f>>) -> String {
    fields.map(|f| f.name()).collect::<Vec<_>>().join(",")
}

/// An error, without the words that each service has of its own.
pub fn variant(error: &impl Display) -> String {
    let text = error.to_string();
    match text.split_once(" { message") {
        Some((name, _)) => name.into(),
        None => text,
    }
}

pub fn directory() -> Result<OwnedFd> {
    Ok(File::open("/")?.into())
}

pub struct Layer {
    fds: Vec<OwnedFd>,
    dir_count: usize,
}

impl Layer {
    /// What PutLayer takes (the stream and the directories), and what is to be held meanwhile.
    pub fn split(mut self) -> (Vec<OwnedFd>, Vec<OwnedFd>) {
        let lifetime = self.fds.split_off(1 + self.dir_count);
        (self.fds, lifetime)
    }
}

pub async fn get_layer(c: &mut Connection, handle: u64, params: GetLayerParams) -> Result<Layer> {
    let mut frames = std::pin::pin!(LayerProxy::get_layer(c, handle, params).await?);
    let (mut fds, mut count) = (Vec::new(), None);
    while let Some(frame) = frames.next().await {
        let (answer, some) = frame?;
        let dir_count = answer.map_err(|e| anyhow!("{e:?}"))?.dir_count as usize;
        ensure!(count.is_none_or(|n| n == dir_count), "dir_count changes from frame to frame");
        count = Some(dir_count);
        fds.extend(some);
    }
    let dir_count = count.context("no frame")?;
    ensure!(dir_count > 0 && fds.len() >= dir_count + 2, "{} descriptors for {dir_count}", fds.len());
    Ok(Layer { fds, dir_count })
}

pub async fn layer_digest(c: &mut Connection, handle: u64, params: GetLayerParams) -> Result<String> {
    let (fds, lifetime) = get_layer(c, handle, params).await?.split();
    let dirs: Vec<_> = fds[1..].iter().map(|d| d.as_fd()).collect();
    let mut hash = Sha256::new();
    reconstruct(BufReader::new(File::from(fds[0].try_clone()?)), &dirs, &mut hash)?;
    drop(lifetime);
    Ok(format!("sha256:{:x}", hash.finalize()))
}

pub async fn layer_is(c: &mut Connection, handle: u64, params: GetLayerParams, diff_id: &str) -> Result<()> {
    let digest = layer_digest(c, handle, params).await?;
    ensure!(digest == diff_id, "{diff_id} came as {digest}");
    Ok(())
}

/// Calls that are sent together are answered in their order.
pub async fn pipelined(c: &mut Connection, view: &OciInspectReply) -> Result<()> {
    let known = composefs_oci::extract_layer_ids(&view.manifest, &view.config)?.remove(0);
    let chain = c.chain_has_layer(0, &known)?.has_layer(0, "x")?.has_layer(0, NONE)?.has_layer(0, &known)?;
    let mut replies = std::pin::pin!(chain.send::<HasLayerReply, OciError>().await?);
    let mut present = Vec::new();
    while let Some(reply) = replies.next().await {
        let (answer, fds) = reply?;
        ensure!(fds.is_empty());
        present.push(answer.ok().and_then(|a| a.into_parameters()).map(|a| a.present));
    }
    ensure!(present == [Some(true), None, Some(false), Some(true)], "{present:?}");
    Ok(())
}
