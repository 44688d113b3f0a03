//! Measuring pairs: the raw work and ours take turns in short batches, so that a machine that changes its clock or
//! has other work slows both alike, and what is compared is the ratio.

pub mod ike;

use core::fmt;
use core::time::Duration;
use std::time::Instant;

/// Payload lengths that every table has, in octets: a small packet, the old minimum MTU, Ethernet less the
/// overhead, and a jumbo frame.
pub const LENGTHS: [usize; 4] = [64, 576, 1400, 8900];

/// Packets handled in one go. Only [`Batch::run`] is timed.
pub trait Batch {
    /// How many packets one run handles.
    fn packets(&self) -> usize;
    /// Brings the packets into the state in which they are handled.
    fn prepare(&mut self) {}
    /// Handles every packet once.
    fn run(&mut self);
}

/// As many packets of a length as fit well into a first-level cache, so that it is the work that is measured.
#[must_use]
pub fn packets_in_cache(length: usize) -> usize {
    (16 * 1024 / length.max(1)).clamp(2, 128)
}

/// How long `packets` packets take, preparation left out. For criterion's `iter_custom`.
pub fn timed(batch: &mut impl Batch, packets: u64) -> Duration {
    let each = u64::try_from(batch.packets()).unwrap_or(u64::MAX).max(1);
    let batches = packets.div_ceil(each).max(1);
    let total: Duration = (0..batches).map(|_| run_once(batch)).sum();
    // The last batch may have had packets to spare.
    total.mul_f64(packets as f64 / (batches * each) as f64)
}

fn run_once(batch: &mut impl Batch) -> Duration {
    batch.prepare();
    let begun = Instant::now();
    batch.run();
    begun.elapsed()
}

/// Time spent on one pair, preparation included.
const PAIR: Duration = Duration::from_millis(700);
/// The fewest turns each side gets, however long they take.
const TURNS: usize = 51;

/// One line of a table: the raw work and ours, in nanoseconds a packet.
#[derive(Clone, Debug)]
pub struct Ratio {
    /// What was compared.
    pub name: String,
    /// Length of the payload in octets.
    pub length: usize,
    /// The raw work.
    pub raw: f64,
    /// Ours.
    pub ours: f64,
    /// The raw work's share of ours: 1 when ours costs nothing more. The median over the turns.
    pub share: f64,
}

/// Lets the two take turns and compares them.
pub fn compare(name: &str, length: usize, raw: &mut impl Batch, ours: &mut impl Batch) -> Ratio {
    let (mut raw_times, mut our_times, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    let begun = Instant::now();
    while begun.elapsed() < PAIR || shares.len() < TURNS {
        // Which goes first changes from turn to turn: each finds the caches as the other left them.
        let (raw_time, our_time) = if shares.len() % 2 == 0 {
            let raw_time = per_packet(raw);
            (raw_time, per_packet(ours))
        } else {
            let our_time = per_packet(ours);
            (per_packet(raw), our_time)
        };
        raw_times.push(raw_time);
        our_times.push(our_time);
        shares.push(raw_time / our_time);
    }
    Ratio {
        name: name.into(),
        length,
        raw: median(raw_times),
        ours: median(our_times),
        share: median(shares),
    }
}

fn per_packet(batch: &mut impl Batch) -> f64 {
    run_once(batch).as_secs_f64() * 1e9 / batch.packets().max(1) as f64
}

/// The value in the middle; not a number where there are none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What is printed at the end of a bench: a Markdown table under the name of the processor.
#[derive(Clone, Debug)]
pub struct Table {
    title: String,
    raw: String,
    ours: String,
    rows: Vec<Ratio>,
}

impl Table {
    /// An empty table; `raw` and `ours` head the columns.
    #[must_use]
    pub fn new(title: &str, raw: &str, ours: &str) -> Self {
        Self { title: title.into(), raw: raw.into(), ours: ours.into(), rows: Vec::new() }
    }

    /// Adds a line.
    pub fn push(&mut self, row: Ratio) {
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, raw, ours, rows } = self;
        writeln!(f, "{title} ({})\n", processor())?;
        writeln!(f, "| | octets | {raw}, ns | {ours}, ns | difference, ns | {raw} / {ours} |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|")?;
        for Ratio { name, length, raw, ours, share } in rows {
            let difference = ours - raw;
            let percent = share * 100.0;
            writeln!(f, "| {name} | {length} | {raw:.1} | {ours:.1} | {difference:.1} | {percent:.1}% |")?;
        }
        Ok(())
    }
}

/// A Markdown table of what was measured: one line a subject, one column a length or step.
#[derive(Clone, Debug)]
pub struct Grid {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Option<f64>>)>,
    scale: f64,
}

impl Grid {
    /// An empty table.
    #[must_use]
    pub fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.into()).collect();
        Self { title: title.into(), columns, rows: Vec::new(), scale: 1.0 }
    }

    /// Shows values times `scale`.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        Self { scale, ..self }
    }

    /// Adds a line, unless nothing in it was measured.
    pub fn push(&mut self, name: &str, values: &[Option<f64>]) {
        if values.iter().any(Option::is_some) {
            self.rows.push((name.into(), values.to_vec()));
        }
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{} ({})\n", self.title, processor())?;
        writeln!(f, "| | {} |", self.columns.join(" | "))?;
        writeln!(f, "|---{}|", "|---:".repeat(self.columns.len()))?;
        for (name, values) in &self.rows {
            write!(f, "| {name} |")?;
            for value in values {
                match value.map(|value| value * self.scale) {
                    Some(value) if value < 100.0 => write!(f, " {value:.1} |")?,
                    Some(value) => write!(f, " {value:.0} |")?,
                    None => f.write_str(" |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The processor's name for itself and its extensions that matter here, where the system tells.
#[must_use]
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    };
    let numbers = [field("cpu family"), field("model")].join("/");
    let flags: Vec<_> = field("flags")
        .split(' ')
        .filter(|flag| ["aes", "pclmulqdq", "avx2", "avx512f", "vaes", "vpclmulqdq", "sha_ni"].contains(flag))
        .collect();
    match field("model name") {
        "" => std::env::consts::ARCH.into(),
        name => format!("{name}, family/model {numbers}: {}", flags.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Spin(u64, usize);

    impl Batch for Spin {
        fn packets(&self) -> usize {
            2
        }
        fn prepare(&mut self) {
            self.1 += 1;
        }
        fn run(&mut self) {
            for turn in 0..self.0 {
                core::hint::black_box(turn);
            }
        }
    }

    #[test]
    fn both_take_as_many_turns_and_are_prepared_for_each() {
        let (mut raw, mut ours) = (Spin(100, 0), Spin(200, 0));
        let ratio = compare("spin", 0, &mut raw, &mut ours);
        assert!(ratio.raw > 0.0 && ratio.ours > 0.0 && ratio.share.is_finite(), "{ratio:?}");
        assert!(raw.1 >= TURNS && raw.1 == ours.1);
    }

    #[test]
    fn the_median_does_not_heed_outliers() {
        assert_eq!(median(vec![3.0, 1000.0, 1.0, 2.0, 2.5]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn every_batch_is_prepared() {
        let mut spin = Spin(0, 0);
        timed(&mut spin, 5);
        assert_eq!(spin.1, 3, "five packets are three batches of two");
    }

    #[test]
    fn a_grid_shows_what_was_measured_alone() {
        let mut grid = Grid::new("Sealing", &["64", "576"]).scaled(1e-3);
        assert_eq!(grid.to_string(), "");
        grid.push("left out", &[None, None]);
        grid.push("row", &[Some(12_340.0), None]);
        let text = grid.to_string();
        assert!(text.contains("| | 64 | 576 |\n|---|---:|---:|\n| row | 12.3 | |\n"), "{text}");
        assert!(!text.contains("left out"));
    }

    #[test]
    fn a_table_names_its_columns() {
        let mut table = Table::new("Sealing", "raw", "through the trait");
        let row = Ratio { name: "seal".into(), length: 64, raw: 97.0, ours: 100.0, share: 0.97 };
        table.push(row);
        let text = table.to_string();
        assert!(text.contains("| seal | 64 | 97.0 | 100.0 | 3.0 | 97.0% |"), "{text}");
    }
}
