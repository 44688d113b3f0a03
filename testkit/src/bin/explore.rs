//! Every future of two endpoints within limits, from the command line.
//!
//! ```text
//! explore list
//! explore run <scenario|all> <messages> <faults>
//! explore deep [<folder>] [<share>/<shares>] [<scenario>...]
//! explore replay <scenario> <messages> <faults> <trail>
//! ```
//!
//! `deep` decides the fate of twelve messages with three mishaps among them. What is done is noted in the folder (`deep`
//! where none is named), so that a run that was stopped goes on where it was, and several can share the work, each with
//! its own shares or on its own machine.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use testkit::capture::Capture;
use testkit::explore::{Failure, Limits, Outcome, SCENARIOS, Scenario, Search, replay, scenario};
use testkit::keylog::KeyLog;

/// Shares of one scenario in the deep run.
const SHARES: usize = 64;

/// States after which a search stops: a fingerprint takes 16 octets, and as many again are kept free.
const MOST_STATES: u64 = 100_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => {
            for scenario in &SCENARIOS {
                println!("{}", scenario.name);
            }
            ExitCode::SUCCESS
        }
        ["run", name, messages, faults] => {
            let (Ok(messages), Ok(faults)) = (messages.parse(), faults.parse()) else { return usage() };
            let limits = Limits { messages, faults, states: MOST_STATES };
            let chosen: Vec<&'static Scenario> =
                SCENARIOS.iter().filter(|scenario| name == "all" || scenario.name == name).collect();
            let failed = chosen.iter().filter(|scenario| !run(scenario, limits, (0, 1))).count();
            code(!chosen.is_empty() && failed == 0)
        }
        ["deep"] => deep("deep", "0/1", &[]),
        ["deep", folder] => deep(folder, "0/1", &[]),
        ["deep", folder, share, ref names @ ..] => deep(folder, share, names),
        ["replay", name, messages, faults] => again(name, messages, faults, ""),
        ["replay", name, messages, faults, trail] => again(name, messages, faults, trail),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("explore list | run <scenario|all> <messages> <faults>");
    eprintln!("        | deep [<folder>] [<share>/<shares>] [<scenario>...]");
    eprintln!("        | replay <scenario> <messages> <faults> <trail>");
    ExitCode::from(2)
}

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(scenario: &'static Scenario, limits: Limits, part: (usize, usize)) -> bool {
    let began = Instant::now();
    let outcome = Search::new(limits).run(scenario, part, |outcome| {
        eprintln!("  {}: {outcome} after {:.0?}", scenario.name, began.elapsed());
    });
    report(scenario.name, &outcome, began);
    outcome.failure.is_none()
}

fn report(name: &str, outcome: &Outcome, began: Instant) {
    println!("{name:<32} {outcome} in {:.1?}", began.elapsed());
    if let Some(failure) = &outcome.failure {
        println!("{failure}");
        let _ = show(failure);
    }
    let _ = std::io::stdout().flush();
}

/// Runs a failure again, prints it, and leaves the capture and the keys behind.
fn show(failure: &Failure) -> Result<(), String> {
    let scenario = scenario(failure.scenario).ok_or("there is no such scenario")?;
    let replay = replay(scenario, failure.limits, &failure.trail)?;
    println!("{}\n{}", replay.text, replay.why.as_deref().unwrap_or("nothing is wrong"));
    let folder = std::env::temp_dir().join(format!("explore-{}", failure.scenario));
    let written = fs::create_dir_all(&folder).and_then(|()| {
        let capture = Capture::create(folder.join("run.pcapng"))?;
        for (at, from, to, data) in &replay.sent {
            capture.record(*at, *from, *to, 0, data)?;
        }
        capture.flush()?;
        let keys = KeyLog::create(&folder)?;
        replay.keys.iter().try_for_each(|line| keys.line(line))
    });
    match written {
        Ok(()) => println!("capture and keys: {}", folder.display()),
        Err(error) => println!("the capture cannot be written: {error}"),
    }
    Ok(())
}

fn again(name: &str, messages: &str, faults: &str, trail: &str) -> ExitCode {
    let (Some(scenario), Ok(messages), Ok(faults)) = (scenario(name), messages.parse(), faults.parse())
    else {
        return usage();
    };
    let limits = Limits { messages, faults, states: MOST_STATES };
    let failure = Failure { scenario: scenario.name, limits, trail: trail.to_owned(), why: String::new() };
    match show(&failure) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn deep(folder: &str, share: &str, names: &[&str]) -> ExitCode {
    let Some((Ok(share), Ok(shares))) =
        share.split_once('/').map(|(share, shares)| (share.parse::<usize>(), shares.parse::<usize>()))
    else {
        return usage();
    };
    let limits = Limits { messages: 12, faults: 3, states: MOST_STATES };
    let folder = Path::new(folder);
    if let Err(error) = fs::create_dir_all(folder) {
        eprintln!("{}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    // In the order in which they are named, so that small ones can go first.
    let chosen: Vec<&'static Scenario> = match names {
        [] => SCENARIOS.iter().collect(),
        names => names.iter().filter_map(|name| scenario(name)).collect(),
    };
    if chosen.is_empty() {
        return usage();
    }
    let mut good = true;
    for scenario in chosen {
        for part in (0..SHARES).filter(|part| part % shares.max(1) == share) {
            let note = folder.join(format!("{}.{part}", scenario.name));
            if note.exists() {
                continue;
            }
            let began = Instant::now();
            let outcome = Search::new(limits).run(scenario, (part, SHARES), |outcome| {
                eprintln!("  {} {part}/{SHARES}: {outcome} after {:.0?}", scenario.name, began.elapsed());
            });
            report(&format!("{} {part}/{SHARES}", scenario.name), &outcome, began);
            good &= outcome.failure.is_none();
            // What failed is done again next time.
            if outcome.failure.is_none() && fs::write(&note, format!("{outcome}\n")).is_err() {
                eprintln!("{} cannot be written", note.display());
                return ExitCode::FAILURE;
            }
        }
    }
    code(good)
}
