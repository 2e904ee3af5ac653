//! Generates messages and services from the `.proto` files, without a `protoc`.

use std::path::PathBuf;

use prost::Message;

const FILES: [&str; 3] =
    ["tapebook/v1/journal.proto", "tapebook/v1/admin.proto", "tapebook/v1/cluster.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed=proto/{file}");
    }
    let descriptors = protox::compile(FILES, ["proto"])?;
    let directory = PathBuf::from(std::env::var("OUT_DIR")?);
    // A build script writes where cargo tells it to.
    #[allow(clippy::disallowed_methods)]
    std::fs::write(directory.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // A batch is taken out of what was received without a copy.
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
