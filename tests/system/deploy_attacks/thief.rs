//! A control plane that has been taken over, or a stolen key of one: it has everything that the
//! true one shows to an agent, and none of its checks.

use std::io::Cursor;

use flux::base::threads::Supervisor;
use flux::model::function::Code;
use flux::model::ids::{AgentId, Digest, FunctionName};
use flux::pki::Authority;
use flux::rpc::limits::RELEASE_DEADLINE;
use flux::rpc::release::OutgoingRelease;
use flux::rpc::{AgentClient, Channels, RpcError, TlsIdentity};
use flux::wire::proto::{self, DeploymentPackage};
use openssl::sha::sha256;

use super::scene::TARGET;
use crate::harness::Fleet;

/// With connections to the fleet's first agent.
pub struct Thief {
    client: AgentClient,
    // After the connection: dropping it is what closes them.
    _channels: Channels,
}

impl Thief {
    pub fn at(fleet: &Fleet) -> Thief {
        let authority =
            Authority::open_or_create(&fleet.directory().join("certs")).expect("certificates");
        let stolen = authority.control();
        let agent = AgentId::new(&fleet.agents[0].id).expect("id");
        let address = &fleet.agents[0].address;
        let identity =
            TlsIdentity::new(&stolen.ca, &stolen.certificate, &stolen.key).expect("identity");
        let channels = Channels::new(Some(identity), &Supervisor::new());
        let client = channels.client(&agent, address, true).expect("client");
        Thief {
            client,
            _channels: channels,
        }
    }

    /// As Flux does it, with a digest and length that are true of the bytes.
    pub fn push(&self, version: u64, archive: &[u8]) -> Result<(), RpcError> {
        let digest = Digest::from_sha256(sha256(archive));
        self.push_as(version, archive, &digest, archive.len() as u64)
    }

    /// The same with any digest and length.
    pub fn push_as(
        &self,
        version: u64,
        archive: &[u8],
        digest: &Digest,
        size_bytes: u64,
    ) -> Result<(), RpcError> {
        let release = OutgoingRelease {
            function: &FunctionName::new(TARGET).expect("name"),
            code: &Code {
                version,
                digest: digest.clone(),
            },
            size_bytes,
            config: None,
        };
        self.client
            .push_release(&release, || Ok(Cursor::new(archive)))
            .map(drop)
    }

    /// As legacy control planes do it: in one message, without a version.
    pub fn deploy(&self, archive: Vec<u8>) -> Result<(), RpcError> {
        let package = DeploymentPackage {
            function_name: TARGET.to_owned(),
            code_archive: archive,
            config: None,
        };
        let method = proto::DEPLOY_FUNCTION;
        let answer = self.client.call(method, &package, RELEASE_DEADLINE)?;
        assert!(!answer.success, "{}", answer.message);
        Err(RpcError::Rejected {
            message: answer.message,
        })
    }
}
