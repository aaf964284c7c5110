//! Which agent gets an execution.
//!
//! Among the agents that may run it and have room, the one with the smallest share of its slots
//! in use; ties go round. When none has room the answer says what was short, because the
//! contract answers a full function (503) and a full machine (429) differently.

use crate::base::units::Mib;

/// What one execution asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// Executions of the function that one agent may run at once.
    pub max_concurrency: u32,
    /// Memory limit of one execution, if it has one.
    pub memory: Option<Mib>,
    /// CPU limit of one execution in millicores, if it has one.
    pub cpu_millicores: Option<u32>,
}

/// One agent that gets traffic, as placement sees it. Figures of 0 mean unknown and forbid nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    /// Whether it enforces what the function asks for by name.
    pub isolates: bool,
    /// Whether it holds the function's current code and configuration.
    pub holds_function: bool,
    /// Whether it refused this function for lack of room since anything there last ended.
    pub refused: bool,
    /// Executions of the function there.
    pub running_of_function: u32,
    /// All executions there.
    pub running: u32,
    /// Executions it may run at once.
    pub max_tasks: u32,
    /// The machine's memory, MiB.
    pub memory_total_mb: u64,
    /// Used at the last reading, MiB.
    pub memory_used_mb: u64,
    /// Memory limits of what runs there, MiB.
    pub memory_reserved_mb: u64,
    /// The machine's processors.
    pub cpu_millicores: u64,
    /// CPU limits of what runs there.
    pub cpu_reserved_millicores: u64,
}

/// Why no agent can take the execution now. The first of these that any agent would have passed
/// is not reported: an agent that is merely full says more than one that holds no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NoRoom {
    /// No agent gets traffic.
    NoAgent,
    /// No agent that gets traffic enforces the isolation that the function asks for.
    NotIsolated,
    /// Agents get traffic, but none holds the function's current code yet.
    NotSynced,
    /// An agent has a free slot, but not the memory or CPU.
    ResourcePressure,
    /// Every agent that could run it runs as many as it may.
    AtCapacity,
}

/// The index of the chosen candidate. `turn` is any number that changes from call to call; it
/// spreads ties.
///
/// # Errors
/// [`NoRoom`] with what the agents that came closest were short of.
pub(crate) fn place(
    candidates: impl Iterator<Item = Candidate>,
    demand: Demand,
    turn: usize,
) -> Result<usize, NoRoom> {
    let mut shortage = NoRoom::NoAgent;
    let mut best: Option<(Load, usize)> = None;
    for (index, candidate) in candidates.enumerate() {
        match admissible(&candidate, demand) {
            Err(reason) => shortage = shortage.max(reason),
            Ok(()) => {
                let load = Load::of(&candidate, index, turn);
                if best.is_none_or(|(least, _)| load < least) {
                    best = Some((load, index));
                }
            }
        }
    }
    best.map(|(_, index)| index).ok_or(shortage)
}

/// Ordered by what matters first. Shares are in thousandths, so that agents of different sizes
/// compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Load {
    share_of_slots: u64,
    running_of_function: u32,
    turn: u64,
}

impl Load {
    fn of(candidate: &Candidate, index: usize, turn: usize) -> Load {
        let slots = match candidate.max_tasks {
            0 => ASSUMED_SLOTS,
            slots => u64::from(slots),
        };
        Load {
            share_of_slots: u64::from(candidate.running) * 1000 / slots,
            running_of_function: candidate.running_of_function,
            turn: mix(index as u64 ^ ((turn as u64) << 32)),
        }
    }
}

/// For agents that do not say how many executions they take; only the comparison uses it.
const ASSUMED_SLOTS: u64 = 64;

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): spreads neighbouring inputs over
/// all 64 bits.
const fn mix(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

fn admissible(candidate: &Candidate, demand: Demand) -> Result<(), NoRoom> {
    if !candidate.isolates {
        return Err(NoRoom::NotIsolated);
    }
    if !candidate.holds_function {
        return Err(NoRoom::NotSynced);
    }
    let slots_full = candidate.max_tasks > 0 && candidate.running >= candidate.max_tasks;
    if slots_full || candidate.refused || candidate.running_of_function >= demand.max_concurrency {
        return Err(NoRoom::AtCapacity);
    }
    if !memory_fits(candidate, demand) || !cpu_fits(candidate, demand) {
        return Err(NoRoom::ResourcePressure);
    }
    Ok(())
}

/// Both by account (limits of what runs) and by measurement (what is really used): the first
/// holds in a burst, before any reading shows it; the second where others use the machine too.
fn memory_fits(candidate: &Candidate, demand: Demand) -> bool {
    let Some(need) = demand.memory else {
        return true;
    };
    let total = candidate.memory_total_mb;
    let taken = candidate.memory_used_mb.max(candidate.memory_reserved_mb);
    total == 0 || taken.saturating_add(need.0) <= total
}

/// By account only: CPU that is busy now may be free in a moment.
fn cpu_fits(candidate: &Candidate, demand: Demand) -> bool {
    let Some(need) = demand.cpu_millicores else {
        return true;
    };
    let total = candidate.cpu_millicores;
    // A function that asks for more than the machine has gets all of it, when nothing else runs.
    total == 0
        || candidate.cpu_reserved_millicores == 0
        || candidate
            .cpu_reserved_millicores
            .saturating_add(u64::from(need))
            <= total
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMAND: Demand = Demand {
        max_concurrency: 5,
        memory: None,
        cpu_millicores: None,
    };

    const IDLE: Candidate = Candidate {
        isolates: true,
        holds_function: true,
        refused: false,
        running_of_function: 0,
        running: 0,
        max_tasks: 10,
        memory_total_mb: 1000,
        memory_used_mb: 200,
        memory_reserved_mb: 0,
        cpu_millicores: 2000,
        cpu_reserved_millicores: 0,
    };

    fn place_among(candidates: &[Candidate], demand: Demand) -> Result<usize, NoRoom> {
        place(candidates.iter().copied(), demand, 0)
    }

    #[test]
    fn the_agent_with_the_smallest_share_in_use_is_chosen() {
        let large = Candidate {
            running: 10,
            max_tasks: 100,
            ..IDLE
        };
        let small = Candidate {
            running: 2,
            max_tasks: 4,
            ..IDLE
        };
        assert_eq!(place_among(&[small, large], DEMAND), Ok(1));
    }

    #[test]
    fn equal_agents_take_turns() {
        let mut seen = [0u32; 4];
        for turn in 0..4000 {
            let index = place([IDLE; 4].into_iter(), DEMAND, turn).expect("room");
            seen[index] += 1;
        }
        assert!(seen.iter().all(|&count| count > 400), "{seen:?}");
    }

    #[test]
    fn an_agent_without_the_current_code_gets_nothing() {
        let stale = Candidate {
            holds_function: false,
            ..IDLE
        };
        assert_eq!(place_among(&[stale], DEMAND), Err(NoRoom::NotSynced));
        assert_eq!(place_among(&[stale, IDLE], DEMAND), Ok(1));
        assert_eq!(place_among(&[], DEMAND), Err(NoRoom::NoAgent));
    }

    #[test]
    fn an_agent_that_cannot_isolate_as_asked_gets_nothing_however_idle() {
        let loose = Candidate {
            isolates: false,
            ..IDLE
        };
        let busy = Candidate { running: 9, ..IDLE };
        let stale = Candidate {
            holds_function: false,
            ..IDLE
        };
        assert_eq!(place_among(&[loose], DEMAND), Err(NoRoom::NotIsolated));
        assert_eq!(place_among(&[loose, busy], DEMAND), Ok(1));
        // One that is being brought the function is worth waiting for.
        assert_eq!(place_among(&[loose, stale], DEMAND), Err(NoRoom::NotSynced));
    }

    #[test]
    fn full_functions_and_full_machines_are_told_apart() {
        let full = Candidate {
            running_of_function: 5,
            running: 5,
            ..IDLE
        };
        let slots = Candidate {
            running: 10,
            ..IDLE
        };
        let refused = Candidate {
            refused: true,
            ..IDLE
        };
        for candidate in [full, slots, refused] {
            assert_eq!(place_among(&[candidate], DEMAND), Err(NoRoom::AtCapacity));
        }
        let memory = Demand {
            memory: Some(Mib(801)),
            ..DEMAND
        };
        assert_eq!(place_among(&[IDLE], memory), Err(NoRoom::ResourcePressure));
        assert_eq!(place_among(&[IDLE, full], memory), Err(NoRoom::AtCapacity));
    }

    #[test]
    fn memory_is_accounted_before_it_is_measured() {
        let demand = Demand {
            memory: Some(Mib(400)),
            ..DEMAND
        };
        let one = Candidate {
            memory_reserved_mb: 600,
            running: 1,
            ..IDLE
        };
        let two = Candidate {
            memory_reserved_mb: 601,
            running: 1,
            ..IDLE
        };
        assert_eq!(place_among(&[one], demand), Ok(0));
        assert_eq!(place_among(&[two], demand), Err(NoRoom::ResourcePressure));
    }

    #[test]
    fn unknown_figures_forbid_nothing() {
        let unknown = Candidate {
            max_tasks: 0,
            memory_total_mb: 0,
            cpu_millicores: 0,
            ..IDLE
        };
        let demand = Demand {
            memory: Some(Mib(4000)),
            cpu_millicores: Some(9000),
            ..DEMAND
        };
        assert_eq!(place_among(&[unknown], demand), Ok(0));
    }

    #[test]
    fn cpu_is_accounted_and_one_oversized_execution_may_run_alone() {
        let demand = Demand {
            cpu_millicores: Some(3000),
            ..DEMAND
        };
        assert_eq!(place_among(&[IDLE], demand), Ok(0));
        let busy = Candidate {
            cpu_reserved_millicores: 1,
            running: 1,
            ..IDLE
        };
        assert_eq!(place_among(&[busy], demand), Err(NoRoom::ResourcePressure));
    }
}
