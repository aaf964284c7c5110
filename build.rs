//! Generates the protocol's types and service glue from `proto/flux.proto`.

use std::env;
use std::error::Error;

const PROTO: &str = "proto/flux.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    let out_dir = env::var("OUT_DIR")?;
    grpcio_compiler::prost_codegen::compile_protos(&[PROTO], &["proto"], &out_dir)?;
    Ok(())
}
