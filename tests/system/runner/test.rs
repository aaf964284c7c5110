//! A test: its name, its body, and where it runs.

use std::sync::Arc;

/// Lists a module's tests, as functions without arguments, under the names that cargo would give them.
///
/// `name (alone)` runs in a process of its own, and `name in CASES` once for each of the cases, which the
/// function takes as its argument.
macro_rules! tests {
    ($($test:ident $(($how:ident))? $(in $cases:path)?),* $(,)?) => {
        pub fn tests() -> Vec<$crate::runner::Test> {
            [$($crate::runner::tests!(@one $test $(($how))? $(in $cases)?)),*].concat()
        }
    };
    (@one $test:ident) => {
        vec![$crate::runner::Test::new(module_path!(), stringify!($test), $test)]
    };
    (@one $test:ident ($how:ident)) => {
        vec![$crate::runner::Test::new(module_path!(), stringify!($test), $test).$how()]
    };
    (@one $test:ident in $cases:path) => {
        $crate::runner::Test::of_each(module_path!(), stringify!($test), &$cases, $test)
    };
}
pub(crate) use tests;

/// One of the things that a test is run with, one after the other.
pub trait Case: Copy + Send + Sync + 'static {
    /// What the test's name has for it at its end.
    fn name(&self) -> &'static str;
}

/// Where a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this process, beside others.
    Here,
    /// In a process of its own, because it changes its process or measures it.
    Alone,
    /// In the process that has the guests, in its namespaces.
    BesideGuests,
}

/// See the module's text.
#[derive(Clone)]
pub struct Test {
    pub name: String,
    pub place: Place,
    /// Also run in guests, by a test of `hosts`: what is skipped on one machine has to pass on another.
    pub also_in_guests: bool,
    body: Arc<dyn Fn() + Send + Sync>,
}

impl Test {
    /// `module` is the full path, with this program's own name first.
    pub fn new(module: &str, name: &str, body: impl Fn() + Send + Sync + 'static) -> Test {
        let module = module.split_once("::").map_or(module, |(_, inner)| inner);
        Test {
            name: format!("{module}::{name}"),
            place: Place::Here,
            also_in_guests: false,
            body: Arc::new(body),
        }
    }

    pub fn of_each<C: Case>(module: &str, name: &str, cases: &[C], body: fn(C)) -> Vec<Test> {
        let of = |case: C| {
            let name = format!("{name}::{}", case.name());
            Test::new(module, &name, move || body(case))
        };
        cases.iter().copied().map(of).collect()
    }

    pub fn alone(self) -> Test {
        Test {
            place: Place::Alone,
            ..self
        }
    }

    pub fn beside_guests(self) -> Test {
        Test {
            place: Place::BesideGuests,
            ..self
        }
    }

    pub fn also_in_guests(self) -> Test {
        Test {
            also_in_guests: true,
            ..self
        }
    }

    /// Runs the body on this thread; it fails or is skipped by unwinding.
    pub fn call(&self) {
        (self.body)();
    }
}
