// SPDX-License-Identifier: Apache-2.0
//! A client on zlink, with the types and client traits of composefs-oci (the layer methods) and of
//! composefs-ctl (all methods), which are those of cfsctl itself. REPO is the path of a repository to
//! open, or "-": the handle 0, what the service was started for.
//!     varlink-rust interfaces SOCKET            methods and errors with their fields, as zlink parses them
//!     varlink-rust store SOCKET ROOT IMAGE [ID…]   what a store's service says; ID: layers of ROOT
//!     varlink-rust answers SOCKET REPO IMAGE    a line for each call: its answer as JSON
//!     varlink-rust errors SOCKET REPO IMAGE     a line for each wrong call: its error
//!     varlink-rust put FROM REPO TO REPO IMAGE  each layer by PutLayer, twice: the answers
//!     varlink-rust copy FROM REPO TO REPO IMAGE NAME   by cfsctl's own code for that
//!     varlink-rust pull SOCKET REPO REFERENCE NAME     by the service itself, with its progress
mod calls;
use anyhow::{anyhow, ensure, Context as _, Result};
use calls::*;
use composefs_ctl::varlink::proxy::{OciProxy as _, RepositoryProxy as _};
use composefs_oci::varlink_types::{GetLayerParams, StorageLocator};
use std::fmt::Debug;
use zlink::futures_util::StreamExt as _;

async fn interfaces(socket: &str) -> Result<()> {
    use zlink::varlink_service::Proxy;
    let mut c = connect(socket).await?;
    let info = got(Proxy::get_info(&mut c).await)?;
    let names: Vec<String> = info.interfaces.iter().map(|name| name.to_string()).collect();
    for name in names {
        let text = got(c.get_interface_description(&name).await)?;
        let interface = text.parse()?;
        for method in interface.methods() {
            let fields = (names_of(method.inputs()), names_of(method.outputs()));
            println!("{name}.{} {} -> {}", method.name(), fields.0, fields.1);
        }
        for error in interface.errors() {
            println!("{name}.{} {}", error.name(), names_of(error.fields()));
        }
    }
    Ok(())
}

async fn store(socket: &str, root: &str, image: &str, ids: &[&str]) -> Result<()> {
    let mut c = connect(socket).await?;
    let features = got(c.get_info().await)?.features;
    for token in ["splitdirfdstream-v0", "source-containers-storage", "read-only"] {
        ensure!(features.iter().any(|f| f == token), "no {token} in {features:?}");
    }
    let list = got(c.list_images(0, None).await)?.images;
    ensure!(list.iter().any(|i| i.name == image && i.is_container), "not listed: {list:?}");
    let view = got(c.inspect(0, image).await)?;
    for diff_id in composefs_oci::extract_layer_ids(&view.manifest, &view.config)? {
        let has = got(c.has_layer(0, &diff_id).await)?;
        ensure!(has.present, "{diff_id} is not there");
        layer_is(&mut c, 0, GetLayerParams { diff_id: Some(diff_id.clone()), ..Default::default() }, &diff_id).await?;
        println!("{diff_id}");
    }
    for id in ids {
        let storage = Some(StorageLocator { storage_path: root.into(), layer_id: id.to_string() });
        for consumer_has_cap_dac_override in [false, true] {
            let params = GetLayerParams { storage: storage.clone(), consumer_has_cap_dac_override, diff_id: None };
            println!("{id} {}", layer_digest(&mut c, 0, params).await?);
        }
    }
    // What no service has is an error that zlink knows, and the connection stays.
    for answer in [c.nothing().await, c.oci_mount(0).await] {
        match answer {
            Err(zlink::Error::VarlinkService(e)) => println!("{e:?}"),
            other => return Err(anyhow!("an answer to what there is not: {other:?}")),
        }
    }
    pipelined(&mut c, &view).await
}

async fn answers(socket: &str, repo: &str, image: &str) -> Result<()> {
    let mut c = connect(socket).await?;
    let h = open(&mut c, repo).await?;
    ensure!(got(c.get_info().await)?.features.iter().any(|f| f == "splitdirfdstream-v0"));
    say("ListImages", &got(c.list_images(h, None).await)?)?;
    say("ListImages", &got(c.list_images(h, Some("nothing")).await)?)?;
    let view = got(c.inspect(h, image).await)?;
    say("Inspect", &view)?;
    let digest = got(c.list_images(h, Some(image)).await)?.images[0].manifest_digest.clone();
    say("Inspect", &got(c.inspect(h, &format!("@{digest}")).await)?)?;
    for diff_id in composefs_oci::extract_layer_ids(&view.manifest, &view.config)? {
        say("HasLayer", &got(c.has_layer(h, &diff_id).await)?)?;
        layer_is(&mut c, h, GetLayerParams { diff_id: Some(diff_id.clone()), ..Default::default() }, &diff_id).await?;
        println!("GetLayer {diff_id}");
    }
    say("HasLayer", &got(c.has_layer(h, NONE).await)?)?;
    for xattrs in [None, Some(composefs_oci::XattrFiltering::KeepUserXattrs)] {
        say("ComputeId", &got(c.compute_id(h, image, None, false, xattrs).await)?)?;
    }
    say("Check", &got(c.oci_fsck(h, None).await)?)?;
    say("Check", &got(c.oci_fsck(h, Some(image)).await)?)?;
    for metadata_only in [None, Some(true)] {
        say("Fsck", &got(c.fsck(h, metadata_only).await)?)?;
    }
    let erofs = view.composefs_erofs.context("no image")?;
    say("ImageObjects", &got(c.image_objects(h, &erofs).await)?)?;
    say("ListImageRefs", &got(c.list_image_refs(h).await)?)?;
    got(c.tag(h, &digest, "other/name:1").await)?;
    let mut both = got(c.list_images(h, None).await)?;
    both.images.sort_by(|a, b| a.name.cmp(&b.name)); // cfsctl's are as the directory has them
    say("Tag", &both)?;
    got(c.untag(h, "other/name:1").await)?;
    say("Untag", &got(c.list_images(h, None).await)?)?;
    say("InitRepository", &got(c.init_repository(repo, None, Some(true)).await)?)?;
    got(c.close_repository(h).await)
}

async fn errors(socket: &str, repo: &str, image: &str) -> Result<()> {
    let mut c = connect(socket).await?;
    let h = open(&mut c, repo).await?;
    let bad = 1_000_000;
    failed("OpenRepository", c.open_repository(None, None, None).await)?;
    failed("OpenRepository", c.open_repository(Some(repo), Some(true), None).await)?;
    failed("OpenRepository", c.open_repository(Some("/nonexistent"), None, None).await)?;
    failed("CloseRepository", c.close_repository(bad).await)?;
    failed("Fsck", c.fsck(bad, None).await)?;
    failed("ImageObjects", c.image_objects(bad, "x").await)?;
    failed("ListImageRefs", c.list_image_refs(bad).await)?;
    failed("ListImages", c.list_images(bad, None).await)?;
    failed("Inspect", c.inspect(bad, image).await)?;
    failed("Inspect", c.inspect(h, "nothing").await)?;
    failed("Tag", c.tag(bad, NONE, "name").await)?;
    failed("Untag", c.untag(bad, "name").await)?;
    failed("ComputeId", c.compute_id(bad, image, None, false, None).await)?;
    failed("Check", c.oci_fsck(bad, None).await)?;
    failed("HasLayer", c.has_layer(bad, NONE).await)?;
    failed("HasLayer", c.has_layer(h, "x").await)?;
    let of = |diff_id: &str| GetLayerParams { diff_id: Some(diff_id.into()), ..Default::default() };
    for (handle, params) in [(bad, of(NONE)), (h, of(NONE)), (h, of("x")), (h, GetLayerParams::default())] {
        let error = get_layer(&mut c, handle, params).await.err().context("a layer that is not there")?;
        println!("GetLayer {}", variant(&error));
    }
    let view = got(c.inspect(h, image).await)?;
    let layers = composefs_oci::extract_layer_ids(&view.manifest, &view.config)?;
    // The right bytes under a wrong name, and a directory alone.
    let layer = get_layer(&mut c, h, of(&layers[0])).await?;
    let (fds, lifetime) = layer.split();
    failed("PutLayer", c.put_layer(h, NONE, false, fds).await)?;
    drop(lifetime);
    failed("PutLayer", c.put_layer(h, NONE, false, vec![directory()?]).await)?;
    failed("FinalizeImage", c.finalize_image(bad, &view.manifest, &view.config, vec![], None).await)?;
    say("HasLayer", &got(c.has_layer(h, NONE).await)?)
}

async fn put(from: &str, from_repo: &str, to: &str, to_repo: &str, image: &str) -> Result<()> {
    let (mut c, mut d) = (connect(from).await?, connect(to).await?);
    let (h, t) = (open(&mut c, from_repo).await?, open(&mut d, to_repo).await?);
    let view = got(c.inspect(h, image).await)?;
    for diff_id in composefs_oci::extract_layer_ids(&view.manifest, &view.config)? {
        for present in [false, true] {
            let params = GetLayerParams { diff_id: Some(diff_id.clone()), ..Default::default() };
            let (fds, lifetime) = get_layer(&mut c, h, params).await?.split();
            let reply = got(d.put_layer(t, &diff_id, true, fds).await)?;
            drop(lifetime);
            ensure!(reply.already_present == present, "{reply:?}");
            let objects = reply.objects_reflinked + reply.objects_hardlinked + reply.objects_copied;
            let all = objects + reply.objects_already_present;
            let has = got(d.has_layer(t, &diff_id).await)?;
            ensure!(has.present && has.layer_verity == Some(reply.layer_verity), "{has:?}");
            println!("{diff_id} {}", if present { 0 } else { all });
        }
    }
    Ok(())
}

async fn copy(from: &str, from_repo: &str, to: &str, to_repo: &str, image: &str, name: &str) -> Result<()> {
    let (mut c, mut d) = (connect(from).await?, connect(to).await?);
    let (h, t) = (open(&mut c, from_repo).await?, open(&mut d, to_repo).await?);
    let reply = composefs_ctl::copy_image(&mut c, &mut d, h, t, &image.parse()?, Some(name), false).await?;
    say("FinalizeImage", &reply)
}

async fn pull(socket: &str, repo: &str, image: &str, name: &str) -> Result<()> {
    let mut c = connect(socket).await?;
    let h = open(&mut c, repo).await?;
    let mut frames = std::pin::pin!(c.pull(h, image, Some(name), "disabled", None, false, None, None).await?);
    let (mut done, mut ended) = (0, None);
    while let Some(frame) = frames.next().await {
        let frame = got(frame)?;
        ensure!(ended.is_none(), "a frame behind the last one: {frame:?}");
        done += u32::from(frame.done.is_some());
        ended = frame.completed;
    }
    let ended = ended.context("no frame of the end")?;
    println!("{} {} {done} layers", ended.manifest_digest, ended.config_digest);
    Ok(())
}

fn failed<T: Debug, E: Debug>(method: &str, answer: zlink::Result<Result<T, E>>) -> Result<()> {
    let error = answer?.err().with_context(|| format!("{method} succeeded"))?;
    println!("{method} {}", variant(&format!("{error:?}").as_str()));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["interfaces", socket] => interfaces(socket).await,
        ["store", socket, root, image, ref ids @ ..] => store(socket, root, image, ids).await,
        ["answers", socket, repo, image] => answers(socket, repo, image).await,
        ["errors", socket, repo, image] => errors(socket, repo, image).await,
        ["put", from, a, to, b, image] => put(from, a, to, b, image).await,
        ["copy", from, a, to, b, image, name] => copy(from, a, to, b, image, name).await,
        ["pull", socket, repo, image, name] => pull(socket, repo, image, name).await,
        _ => Err(anyhow!("interfaces | store | answers | errors | put | copy | pull: see the source")),
    }
}
