//! What an execution finds in its environment: a list built from nothing.
//!
//! Of the agent's own environment only PATH, LANG and TZ reach a function. Later entries win, so
//! the order here is the rule: the function's own, then the call's, then what only Flux sets.

use std::collections::BTreeMap;
use std::env;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use crate::model::function::Env;
use crate::model::ids::{ExecutionId, FunctionName};

/// Taken over from the agent.
const INHERITED: [&str; 3] = ["PATH", "LANG", "TZ"];
/// For an agent that was started without one.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is the same for all executions of this agent.
#[derive(Debug)]
pub(crate) struct Environment {
    inherited: BTreeMap<String, String>,
    private_address: Option<IpAddr>,
    // Found out after start, in the background.
    public_address: RwLock<Option<IpAddr>>,
}

/// What belongs to one execution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Belongings<'a> {
    pub execution: &'a ExecutionId,
    pub function: &'a FunctionName,
    /// The version of its code.
    pub version: u64,
    /// Its working directory.
    pub home: &'a Path,
    /// Its temporary directory.
    pub temporary: &'a Path,
}

impl Environment {
    /// Reads the agent's own environment, once.
    pub(crate) fn new(
        private_address: Option<IpAddr>,
        public_address: Option<IpAddr>,
    ) -> Environment {
        let mut inherited: BTreeMap<_, _> = INHERITED
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)))
            .collect();
        inherited
            .entry("PATH".to_owned())
            .or_insert_with(|| DEFAULT_PATH.to_owned());
        Environment {
            inherited,
            private_address,
            public_address: RwLock::new(public_address),
        }
    }

    /// Given to executions that start from now on.
    pub(crate) fn set_public_address(&self, address: IpAddr) {
        *self
            .public_address
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// The whole list for one execution.
    pub(crate) fn build(
        &self,
        own: &Env,
        of_call: &Env,
        belongings: Belongings<'_>,
    ) -> Vec<(String, String)> {
        let mut entries = self.inherited.clone();
        let temporary = belongings.temporary.display().to_string();
        entries.insert("HOME".to_owned(), belongings.home.display().to_string());
        for (name, value) in own.iter().chain(of_call) {
            entries.insert(name.clone(), value.clone());
        }
        // By TMPDIR a process is recognised as part of its execution, so no function may choose it.
        entries.insert("TMPDIR".to_owned(), temporary);
        let public = *self
            .public_address
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let address = |address: Option<IpAddr>| address.map_or(String::new(), |ip| ip.to_string());
        entries.extend([
            (
                "FLUX_EXECUTION_ID".to_owned(),
                belongings.execution.to_string(),
            ),
            (
                "FLUX_FUNCTION_NAME".to_owned(),
                belongings.function.to_string(),
            ),
            (
                "FLUX_FUNCTION_VERSION".to_owned(),
                belongings.version.to_string(),
            ),
            (
                "FLUX_NODE_PRIVATE_IP".to_owned(),
                address(self.private_address),
            ),
            ("FLUX_NODE_PUBLIC_IP".to_owned(), address(public)),
        ]);
        entries.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(own: &[(&str, &str)], of_call: &[(&str, &str)]) -> BTreeMap<String, String> {
        let environment = Environment::new(Some([10, 0, 0, 5].into()), None);
        let env = |entries: &[(&str, &str)]| -> Env {
            entries
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let built = environment.build(
            &env(own),
            &env(of_call),
            Belongings {
                execution: &ExecutionId::new("e-1").expect("id"),
                function: &FunctionName::new("f").expect("name"),
                version: 3,
                home: Path::new("/var/e-1"),
                temporary: Path::new("/var/e-1/.tmp"),
            },
        );
        built.into_iter().collect()
    }

    #[test]
    fn only_path_lang_and_tz_of_the_agent_reach_a_function() {
        let built = build(&[], &[]);
        let expected = [
            "FLUX_EXECUTION_ID",
            "FLUX_FUNCTION_NAME",
            "FLUX_FUNCTION_VERSION",
            "FLUX_NODE_PRIVATE_IP",
            "FLUX_NODE_PUBLIC_IP",
            "HOME",
            "LANG",
            "PATH",
            "TMPDIR",
            "TZ",
        ];
        assert!(
            built.keys().all(|name| expected.contains(&name.as_str())),
            "{built:?}"
        );
        assert!(built.contains_key("PATH"));
        assert_eq!(built["FLUX_NODE_PRIVATE_IP"], "10.0.0.5");
        assert_eq!(built["FLUX_NODE_PUBLIC_IP"], "");
        assert_eq!(built["FLUX_FUNCTION_VERSION"], "3");
    }

    #[test]
    fn the_call_overrides_the_function_and_nobody_overrides_flux() {
        let built = build(
            &[
                ("A", "function"),
                ("B", "function"),
                ("TMPDIR", "/elsewhere"),
                ("FLUX_EXECUTION_ID", "forged"),
            ],
            &[("B", "call"), ("FLUX_FUNCTION_NAME", "forged")],
        );
        assert_eq!(
            (built["A"].as_str(), built["B"].as_str()),
            ("function", "call")
        );
        assert_eq!(built["TMPDIR"], "/var/e-1/.tmp");
        assert_eq!(built["FLUX_EXECUTION_ID"], "e-1");
        assert_eq!(built["FLUX_FUNCTION_NAME"], "f");
    }
}
