//! Taking turns: every row sees the same moments of the machine, so that what else it does falls
//! on all of them.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::bed::Bed;
use super::layers::Layer;

/// How long many threads run one row before it is the next one's turn.
pub const SLICE: Duration = Duration::from_millis(400);

/// Of one row.
pub struct Figures {
    pub name: String,
    pub adds: bool,
    pub p50: Duration,
    pub per_second: f64,
    /// Time over the floor's: the median of what each turn gave.
    pub ratio: f64,
    /// Rate over the floor's, likewise.
    pub rate: f64,
}

/// One execution at a time, row after row, in rounds.
pub fn alone(bed: &Bed, rows: &[Layer], rounds: usize) -> Vec<Figures> {
    let mut times = vec![Vec::with_capacity(rounds); rows.len()];
    thread::scope(|scope| {
        let (turns, to_contained) = channel::<&Layer>();
        let (taken, from_contained) = channel();
        scope.spawn(move || {
            bed.contain_thread();
            for row in to_contained {
                taken.send(time(bed, row)).expect("whoever takes turns");
            }
        });
        for _ in 0..rounds {
            for (row, times) in rows.iter().zip(&mut times) {
                row.prepare();
                times.push(if row.wants_contained_thread() {
                    turns.send(row).expect("the contained thread");
                    from_contained.recv().expect("its time")
                } else {
                    time(bed, row)
                });
            }
        }
    });
    let floor = times[0].clone();
    let figures = rows.iter().zip(times).map(|(row, times)| {
        let ratios = times
            .iter()
            .zip(&floor)
            .map(|(time, floor)| over(*time, *floor));
        let p50 = median(times.iter().map(Duration::as_secs_f64));
        let total: Duration = times.iter().sum();
        let floor_total: Duration = floor.iter().sum();
        Figures {
            name: row.name.clone(),
            adds: row.adds,
            p50: Duration::from_secs_f64(p50),
            per_second: times.len() as f64 / total.as_secs_f64(),
            ratio: median(ratios),
            rate: over(floor_total, total),
        }
    });
    figures.collect()
}

fn time(bed: &Bed, row: &Layer) -> Duration {
    let began = Instant::now();
    row.run(bed);
    began.elapsed()
}

/// Many threads on one row for a slice, then on the next.
pub fn together(bed: &Bed, rows: &[Layer], threads: usize, slices: usize) -> Vec<Figures> {
    let mut taken: Vec<Vec<Slice>> = rows.iter().map(|_| Vec::new()).collect();
    for _ in 0..slices {
        for (row, taken) in rows.iter().zip(&mut taken) {
            taken.push(slice(bed, row, threads));
        }
    }
    let floor: Vec<_> = taken[0]
        .iter()
        .map(|slice| (slice.p50, slice.rate))
        .collect();
    let figures = rows.iter().zip(taken).map(|(row, slices)| Figures {
        name: row.name.clone(),
        adds: row.adds,
        p50: Duration::from_secs_f64(median(slices.iter().map(|it| it.p50))),
        per_second: median(slices.iter().map(|it| it.rate)),
        ratio: median(
            slices
                .iter()
                .zip(&floor)
                .map(|(it, floor)| it.p50 / floor.0),
        ),
        rate: median(
            slices
                .iter()
                .zip(&floor)
                .map(|(it, floor)| it.rate / floor.1),
        ),
    });
    figures.collect()
}

/// What one slice gave: seconds, and executions per second.
struct Slice {
    p50: f64,
    rate: f64,
}

fn slice(bed: &Bed, row: &Layer, threads: usize) -> Slice {
    row.prepare();
    let began = Instant::now();
    let until = began + SLICE;
    let times: Vec<f64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| run_until(bed, row, until)))
            .collect();
        let joined = workers.into_iter();
        joined.flat_map(|it| it.join().expect("a worker")).collect()
    });
    Slice {
        rate: times.len() as f64 / began.elapsed().as_secs_f64(),
        p50: median(times.into_iter()),
    }
}

fn run_until(bed: &Bed, row: &Layer, until: Instant) -> Vec<f64> {
    let mut times = Vec::new();
    if row.wants_contained_thread() {
        bed.contain_thread();
    }
    loop {
        let began = Instant::now();
        if began >= until && !times.is_empty() {
            return times;
        }
        row.run(bed);
        times.push(began.elapsed().as_secs_f64());
    }
}

fn over(time: Duration, floor: Duration) -> f64 {
    time.as_secs_f64() / floor.as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
