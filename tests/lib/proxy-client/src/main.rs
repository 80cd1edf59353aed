// SPDX-License-Identifier: Apache-2.0
//! Every call of the crate containers-image-proxy on an image; one line of JSON for each answer.
//!   proxy-client PROGRAM IMAGE MISSING-IMAGE
use anyhow::Result;
use containers_image_proxy::{ImageProxy, ImageProxyConfig, OpenedImage};
use serde_json::{json, Value};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};

fn say(what: &str, value: Value) {
    println!("{}", json!({ "call": what, "answer": value }));
}

fn hex256(data: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(data)))
}

async fn read_all(mut r: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::new();
    r.read_to_end(&mut data).await?;
    Ok(data)
}

async fn blobs(proxy: &ImageProxy, image: &OpenedImage) -> Result<()> {
    let layers = proxy.get_layer_info(image).await?.unwrap_or_default();
    say("get_layer_info", json!(layers.iter().map(|l| json!([l.digest.to_string(), l.size, l.media_type.to_string()])).collect::<Vec<_>>()));
    for l in &layers {
        let (reader, driver) = proxy.get_blob(image, &l.digest, l.size).await?;
        let (data, end) = tokio::join!(read_all(reader.take(l.size)), driver);
        end?;
        say("get_blob", json!(hex256(&data?)));

        let (size, reader, driver) = proxy.get_raw_blob(image, &l.digest).await?;
        let (data, end) = tokio::join!(read_all(reader), driver);
        say("get_raw_blob", json!([size, hex256(&data?), format!("{end:?}")]));

        let stream = proxy.get_blob_stream(image, &l.digest, l.size).await?;
        let source = format!("{:?}", stream.source());
        let (reader, driver) = stream.into_parts();
        let (data, end) = tokio::join!(read_all(reader), driver);
        end?;
        say("get_blob_stream", json!([source, hex256(&data?)]));

        let (reader, driver) = proxy.get_blob(image, &l.digest, l.size + 1).await?;
        let (data, end) = tokio::join!(read_all(reader.take(l.size)), driver);
        say("get_blob, wrong size", json!([data?.len(), format!("{end:?}")]));
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let mut config = ImageProxyConfig::default();
    config.skopeo_cmd = Some(std::process::Command::new(&args[1]));
    let proxy = ImageProxy::new_with_config(config).await?;
    say("protocol_version", json!(proxy.protocol_version().to_string()));
    say("supports", json!([proxy.supports_get_raw_blob(), proxy.supports_open_varlink_socket()]));

    let image = proxy.open_image(&args[2]).await?;
    say("open_image, missing", json!(proxy.open_image(&args[3]).await.is_err()));
    let missing = proxy.open_image_optional(&args[3]).await?;
    say("open_image_optional, missing", json!(missing.is_none()));
    let again = proxy.open_image_optional(&args[2]).await?.expect("the image");
    proxy.close_image(&again).await?;
    say("closed image", json!(proxy.fetch_manifest_raw_oci(&again).await.is_err()));

    let (digest, raw) = proxy.fetch_manifest_raw_oci(&image).await?;
    say("fetch_manifest_raw_oci", json!([digest, hex256(&raw)]));
    let (digest, manifest) = proxy.fetch_manifest(&image).await?;
    say("fetch_manifest", json!([digest, manifest.layers().len()]));
    say("fetch_config_raw", json!(hex256(&proxy.fetch_config_raw(&image).await?)));
    let config = proxy.fetch_config(&image).await?;
    say("fetch_config", json!(config.rootfs().diff_ids()));
    match proxy.get_descriptor(&image, manifest.config()).await {
        Ok((reader, driver)) => {
            let (data, end) = tokio::join!(read_all(reader.take(manifest.config().size())), driver);
            end?;
            say("get_descriptor", json!(hex256(&data?)));
        }
        Err(_) => say("get_descriptor", json!("an error")),
    }
    blobs(&proxy, &image).await?;
    say("open_varlink_socket", json!(proxy.open_varlink_socket(&image).await.is_err()));
    proxy.finalize().await?;
    say("finalize", json!(true));
    Ok(())
}
