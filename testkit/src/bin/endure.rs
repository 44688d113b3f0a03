//! Long runs from the command line.
//!
//! ```text
//! endure run <first seed> <seeds> <hours each> [<folder>]
//! endure replay <seed> <hours>
//! ```
//!
//! With a folder, what is done is noted there, so that a run that was stopped goes on where it was; to share the work,
//! give each machine seeds of its own.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use testkit::endure::{Outcome, replay, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse::<u64>().ok();
    match words[..] {
        ["run", first, seeds, hours, ref folder @ ..] => {
            match (number(first), number(seeds), number(hours)) {
                (Some(first), Some(seeds), Some(hours)) => {
                    many(first, seeds, u32::try_from(hours).unwrap_or(u32::MAX), folder.first().copied())
                }
                _ => usage(),
            }
        }
        ["replay", seed, hours] => match (number(seed), number(hours)) {
            (Some(seed), Some(hours)) => again(seed, u32::try_from(hours).unwrap_or(u32::MAX)),
            _ => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("endure run <first seed> <seeds> <hours each> [<folder>] | replay <seed> <hours>");
    ExitCode::from(2)
}

fn many(first: u64, seeds: u64, hours: u32, folder: Option<&str>) -> ExitCode {
    let began = Instant::now();
    let mut all = Outcome::default();
    let mut failures = 0;
    for seed in first..first.saturating_add(seeds) {
        let note = folder.map(|folder| std::path::Path::new(folder).join(format!("{seed}.{hours}")));
        if note.as_ref().is_some_and(|note| note.exists()) {
            continue;
        }
        let outcome = run(seed, hours, None);
        match (&outcome.failure, note) {
            (Some(failure), _) => {
                failures += 1;
                println!("{failure}");
            }
            (None, Some(note)) => {
                let written = note.parent().map_or(Ok(()), fs::create_dir_all);
                if written.and_then(|()| fs::write(&note, format!("{outcome}\n"))).is_err() {
                    eprintln!("{} cannot be written", note.display());
                    return ExitCode::FAILURE;
                }
            }
            (None, None) => {}
        }
        all = all.and(outcome);
        if seed % 100 == 99 {
            eprintln!("  {all}");
        }
    }
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!("{all}, {failures} failures");
    println!("{:.0} simulated hours per minute", all.simulated.as_secs_f64() / 3600.0 / minutes);
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn again(seed: u64, hours: u32) -> ExitCode {
    let (outcome, folder) = replay(seed, hours);
    println!("{outcome}\ncapture and keys: {}", folder.display());
    match outcome.failure {
        Some(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
