//! Generates the protocol's messages and the names of its methods from `proto/flux.proto`.

use prost_build::{Config, Method, Service, ServiceGenerator};

const PROTO: &str = "proto/flux.proto";

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed={PROTO}");
    Config::new()
        .service_generator(Box::new(Methods))
        .compile_protos(&[PROTO], &["proto"])
}

/// For each method a constant, as `EXECUTE_FUNCTION: Method<ExecutionRequest, ExecutionResponse>`, and for all of
/// them an enum, so that who serves them leaves none out.
struct Methods;

impl ServiceGenerator for Methods {
    fn generate(&mut self, service: Service, code: &mut String) {
        let enumeration = format!("{}Call", service.name);
        let (mut variants, mut paths, mut streams) = (String::new(), String::new(), String::new());
        for method in &service.methods {
            let path = format!(
                "/{}.{}/{}",
                service.package, service.proto_name, method.proto_name
            );
            add(code, &constant(method, &path));
            let variant = &method.proto_name;
            add(&mut variants, &format!("    {variant},"));
            add(
                &mut paths,
                &format!("            \"{path}\" => Some(Self::{variant}),"),
            );
            let streams_in = method.client_streaming;
            add(
                &mut streams,
                &format!("            Self::{variant} => {streams_in},"),
            );
        }
        add(
            code,
            &format!(
                "#[derive(Debug, Clone, Copy, PartialEq, Eq)]\n\
                 pub enum {enumeration} {{\n{variants}}}\n\
                 impl {enumeration} {{\n    \
                     pub fn of(path: &str) -> Option<Self> {{\n        match path {{\n{paths}            \
                         _ => None,\n        }}\n    }}\n    \
                     pub fn streams_in(self) -> bool {{\n        match self {{\n{streams}        }}\n    }}\n\
                 }}"
            ),
        );
    }
}

fn constant(method: &Method, path: &str) -> String {
    let name = method.name.to_uppercase();
    let (input, output) = (&method.input_type, &method.output_type);
    format!(
        "pub const {name}: crate::wire::method::Method<{input}, {output}> =\n    \
         crate::wire::method::Method::new(\"{path}\");"
    )
}

fn add(code: &mut String, line: &str) {
    code.push_str(line);
    code.push('\n');
}
