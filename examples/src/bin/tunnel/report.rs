//! What is printed in the end: the ladder of exchanges, what was negotiated, the accounts, and what did not hold.

use std::fmt::Write as _;

use ipsec::{DropClass, Volume};

use testkit::ladder::{Ladder, Record, Side as Rail};

use crate::gateway::{Outcome, SCHEDULE, Side, Step};

/// What was to be done.
pub(crate) struct Transfer {
    pub(crate) total: u64,
    pub(crate) expected: [u8; 32],
    pub(crate) lossy: bool,
    pub(crate) stood_still: bool,
}

/// Prints the report and returns the exit code.
pub(crate) fn print(transfer: &Transfer, client: &Outcome, server: &Outcome) -> u8 {
    say!("\n{}", ladder(client, server));
    negotiated(client);
    say!("\nChild SAs, by the client's gateway's inbound SPI");
    for account in &client.accounts {
        say!(
            "  {} / {}  sent {}, received {}",
            account.inbound,
            account.outbound,
            volume(account.sent),
            volume(account.received)
        );
    }
    for outcome in [client, server] {
        gateway(outcome);
    }
    let rate = transfer.total as f64 / outcome_seconds(client) / f64::from(1 << 20);
    say!("\nSHA-256 sent      {}", hex::encode(transfer.expected));
    let digest = client.digest.map(hex::encode).unwrap_or_default();
    say!("SHA-256 received  {digest}");
    if client.received == transfer.total {
        let seconds = outcome_seconds(client);
        say!("{} octets in {seconds:.2} s, {rate:.1} MiB/s, set-up of the tunnel included", transfer.total);
    }

    let failed = what_does_not_hold(transfer, client, server);
    if failed.is_empty() {
        say!("\neverything held");
        return 0;
    }
    say!();
    for line in &failed {
        say!("FAILED: {line}");
    }
    if client.established.is_none() {
        say!(
            "The tunnel did not come up. Both gateways are in this program, so look at the exchanges above."
        );
        return 4;
    }
    if transfer.stood_still {
        say!("Give it more time with --patience, or less --loss.");
        return 4;
    }
    1
}

/// All checks; a line for each that fails.
fn what_does_not_hold(transfer: &Transfer, client: &Outcome, server: &Outcome) -> Vec<String> {
    let mut failed = Vec::new();
    let mut check = |held: bool, line: String| {
        if !held {
            failed.push(line);
        }
    };
    for outcome in [client, server] {
        for failure in &outcome.failures {
            check(false, format!("{}: {failure}", name(outcome)));
        }
    }
    check(!transfer.stood_still, "nothing moved for too long".into());
    check(
        client.received == transfer.total,
        format!("{} of {} octets arrived", client.received, transfer.total),
    );
    check(
        client.digest == Some(transfer.expected) || client.received != transfer.total,
        "the octets that arrived are not those that were sent".into(),
    );
    let children = SCHEDULE.iter().filter(|step| **step != Step::IkeByClient).count();
    let ikes = SCHEDULE.len() - children;
    for outcome in [client, server] {
        let (child, ike) = (outcome.child_rekeys as usize, outcome.ike_rekeys as usize);
        let who = name(outcome);
        check(child == children, format!("{who}: the Child SA was replaced {child} times, not {children}"));
        check(ike == ikes, format!("{who}: the IKE SA was replaced {ike} times, not {ikes}"));
        // With losses the last message of a deletion may be one of them.
        check(outcome.closed_cleanly || transfer.lossy, format!("{who}: the tunnel was not closed in order"));
        if transfer.lossy {
            continue;
        }
        check(
            outcome.refused.is_none(),
            outcome
                .refused
                .as_ref()
                .map(|error| format!("{who}: a socket refused: {error}"))
                .unwrap_or_default(),
        );
        // On a machine that is very busy IKE may repeat itself; the copies are dropped, as they should be.
        let repeated =
            [client, server].iter().any(|one| one.exchanges.iter().any(|trace| trace.retransmission));
        for (class, reason, count) in outcome.stats.drops() {
            let excused = class == DropClass::Ike && repeated;
            check(excused, format!("{who}: {count} dropped without cause: {class}/{reason}"));
        }
    }
    failed
}

/// Who said what. A message that was lost is seen by its sender only.
fn ladder(client: &Outcome, server: &Outcome) -> Ladder {
    let mut ladder = Ladder::new("client's gateway", "server's gateway");
    let client = client.exchanges.iter().map(|trace| (Rail::Left, trace));
    let server = server.exchanges.iter().map(|trace| (Rail::Right, trace));
    let mut traces: Vec<_> = client.chain(server).collect();
    // Both have the same clock; what was sent comes before what was received in the same microsecond.
    traces.sort_by_key(|(_, trace)| (trace.at, !trace.outbound));
    for (rail, trace) in traces {
        let record = Record {
            at: trace.at,
            outbound: trace.outbound,
            exchange: trace.exchange,
            response: trace.response,
            message_id: trace.message_id,
            payloads: trace.payloads.clone(),
            octets: trace.octets,
            retransmission: trace.retransmission,
            spi_i: trace.spi_i,
            spi_r: trace.spi_r,
        };
        ladder.add(rail, record);
    }
    ladder
}

fn negotiated(client: &Outcome) {
    let Some(ike) = &client.established else { return };
    say!("\nnegotiated");
    say!("  IKE    {}  {} with {}", ike.suite, ike.local_id, ike.remote_id);
    say!("  path   {}", ike.path);
    if let Some(child) = client.children.first() {
        say!("  ESP    {}  {} === {}", child.suite, list(&child.local), list(&child.remote));
    }
    say!(
        "  then   the Child SA replaced {} times, the IKE SA {} times",
        client.child_rekeys,
        client.ike_rekeys
    );
}

fn gateway(outcome: &Outcome) {
    let (stats, traffic) = (&outcome.stats, &outcome.traffic);
    say!("\n{}", name(outcome));
    say!("  IP packets  sealed {}, opened {}", volume(stats.sealed), volume(stats.opened));
    say!("  waited      {}", volume(stats.queued));
    say!("  datagrams   sent {}, received {}", volume(traffic.sent), volume(traffic.received));
    if traffic.lost.packets > 0 {
        say!("  lost        {} on purpose", volume(traffic.lost));
    }
    let drops: Vec<String> =
        stats.drops().map(|(class, reason, count)| format!("{class}/{reason} {count}")).collect();
    say!("  dropped     {}", if drops.is_empty() { "nothing".into() } else { drops.join(", ") });
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome.side {
        Side::Client => "client's gateway",
        Side::Server => "server's gateway",
    }
}

fn volume(volume: Volume) -> String {
    format!("{} packets, {} octets", volume.packets, volume.octets)
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    let mut text = String::new();
    for item in items {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(text, "{comma}{item}");
    }
    text
}

fn outcome_seconds(outcome: &Outcome) -> f64 {
    outcome.elapsed.as_secs_f64().max(f64::EPSILON)
}
