//! Processor time and memory of processes, read from `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Sub;
use std::time::Duration;

/// What a process and its children have used and hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time, to a hundredth of a second.
    pub(crate) cpu: Duration,
    /// Bytes of memory; what several of them share is counted once where the system says so.
    pub(crate) memory: u64,
}

impl Sub for Usage {
    type Output = Self;

    /// The time between two looks, and the memory at the later one.
    fn sub(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), memory: self.memory }
    }
}

/// The kernel counts processor time for user space in hundredths of a second, on all architectures that Linux runs servers on.
const TICK: Duration = Duration::from_millis(10);

/// The fields of `/proc/PID/stat` that matter here (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time of the process.
    own: u32,
    /// The same with that of its children that have ended.
    ticks: u32,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is a name in parentheses, which may hold spaces and parentheses.
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
        let ticks = |fields: std::ops::Range<usize>| fields.map(number).sum::<Option<u32>>();
        Some(Self { parent: number(1)?, own: ticks(11..13)?, ticks: ticks(11..15)? })
    }

    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// The processor time of this process, without its children.
pub(crate) fn own_time() -> Duration {
    TICK * Stat::of(std::process::id()).map_or(0, |stat| stat.own)
}

/// The process above this one.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    Stat::of(pid).map(|stat| stat.parent)
}

/// The usage of a process and all below it; nothing where there is none.
pub(crate) fn usage(pid: Option<u32>) -> Usage {
    let Some(pid) = pid else { return Usage::default() };
    let all = every_process();
    let tree = tree(pid, &all);
    let ticks: u32 = tree.iter().filter_map(|pid| all.get(pid)).map(|stat| stat.ticks).sum();
    Usage { cpu: TICK * ticks, memory: tree.iter().map(|pid| memory(*pid)).sum() }
}

fn every_process() -> BTreeMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, Stat::of(pid)?))).collect()
}

/// A process and all that descend from it.
fn tree(root: u32, all: &BTreeMap<u32, Stat>) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([root]);
    loop {
        let below = all.iter().filter(|(_, stat)| found.contains(&stat.parent)).map(|(pid, _)| *pid);
        let more: BTreeSet<u32> = below.filter(|pid| !found.contains(pid)).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The proportional share where it may be read, so that a database's shared buffers are not counted once per connection; else
/// what is resident.
fn memory(pid: u32) -> u64 {
    let field = |file: &str, name: &str| kib(&fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?, name);
    field("smaps_rollup", "Pss:").or_else(|| field("status", "VmRSS:")).unwrap_or_default()
}

/// What is resident of one process, shared libraries included: what other tools show.
pub(crate) fn resident(pid: u32) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/status")).ok().and_then(|text| kib(&text, "VmRSS:")).unwrap_or_default()
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_passed_over() {
        let text =
            "42 (a (b) c) S 7 42 42 0 -1 4194560 900 10 0 0 150 50 3 2 20 0 4 0 100 1000 200 18446744073709551615";
        assert_eq!(Stat::parse(text), Some(Stat { parent: 7, own: 200, ticks: 205 }));
        assert_eq!(Stat::parse("42 (a) S 7"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn a_tree_is_the_process_and_all_below_it() {
        let all = [(1, 0), (2, 1), (3, 2), (4, 1), (5, 3), (6, 4)];
        let all = all.into_iter().map(|(pid, parent)| (pid, Stat { parent, own: 1, ticks: 1 })).collect();
        assert_eq!(tree(2, &all), BTreeSet::from([2, 3, 5]));
    }

    #[test]
    fn sizes_are_in_bytes() {
        assert_eq!(kib("Name:\tx\nVmRSS:\t    1536 kB\n", "VmRSS:"), Some(1_572_864));
        assert_eq!(kib("Name:\tx\n", "VmRSS:"), None);
    }

    #[test]
    fn time_passes_between_two_looks_and_memory_is_the_later_one() {
        let earlier = Usage { cpu: Duration::from_secs(1), memory: 5 };
        let later = Usage { cpu: Duration::from_secs(3), memory: 4 };
        assert_eq!(later - earlier, Usage { cpu: Duration::from_secs(2), memory: 4 });
        assert_eq!(earlier - later, Usage { cpu: Duration::ZERO, memory: 5 });
    }

    #[test]
    fn this_process_is_seen() {
        let pid = std::process::id();
        assert!(usage(Some(pid)).memory > 1 << 20 && resident(pid) > 1 << 20 && parent(pid).is_some());
    }
}
