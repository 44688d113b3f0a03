//! Packets for people, coloured or not, and for programs.

use core::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::dissect::{Packet, Tree};

#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) color: bool,
    pub(crate) brief: bool,
    pub(crate) whole: bool,
}

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

impl Style {
    fn paint(self, color: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("{color}{text}{PLAIN}") } else { text.into() }
    }

    fn tree(self, tree: &Tree) -> &str {
        if self.whole { &tree.whole } else { &tree.cut }
    }
}

/// Where from and where to.
fn route(packet: &Packet) -> String {
    let Some((source, destination)) = packet.addresses else { return String::new() };
    match packet.ports {
        Some((from, to)) => {
            format!(
                "{} > {}",
                (core::net::SocketAddr::new(source, from)),
                core::net::SocketAddr::new(destination, to)
            )
        }
        None => format!("{source} > {destination}"),
    }
}

/// One line for the packet, then its tree.
pub(crate) fn text(out: &mut impl Write, packet: &Packet, style: Style) -> io::Result<()> {
    let mut line = String::new();
    let (seconds, micros) = (packet.time.as_secs(), packet.time.subsec_micros());
    let _ = write!(line, "{} ", style.paint(DIM, &format!("#{} {seconds}.{micros:06}", packet.number)));
    let _ = write!(line, "{} {}", route(packet), if packet.over_tcp { "TCP " } else { "" });
    let _ = write!(line, "{} {}", style.paint(BOLD, packet.protocol), style.paint(CYAN, &packet.summary));
    if let Some(error) = &packet.error {
        let _ = write!(line, " {}", style.paint(RED, &format!("does not parse: {error}")));
    }
    writeln!(out, "{}", line.trim_end())?;
    if style.brief {
        return Ok(());
    }
    for line in style.tree(&packet.tree).lines() {
        writeln!(out, "    {line}")?;
    }
    if let Some(inside) = &packet.inside {
        writeln!(out, "    {}", style.paint(GREEN, "decrypted"))?;
        for line in style.tree(inside).lines() {
            writeln!(out, "      {line}")?;
        }
    }
    Ok(())
}

/// The packet as an object.
pub(crate) fn json(packet: &Packet) -> Value {
    let mut object = Map::new();
    let mut set = |name: &str, value: Value| object.insert(name.into(), value);
    set("number", packet.number.into());
    set("time", packet.time.as_secs_f64().into());
    if let Some((source, destination)) = packet.addresses {
        set("src", source.to_string().into());
        set("dst", destination.to_string().into());
    }
    if let Some((from, to)) = packet.ports {
        set("src_port", from.into());
        set("dst_port", to.into());
    }
    set("protocol", packet.protocol.into());
    for (name, value) in &packet.values {
        set(name, value.clone());
    }
    set("summary", packet.summary.clone().into());
    if !packet.tree.whole.is_empty() {
        set("tree", packet.tree.whole.clone().into());
    }
    if let Some(inside) = &packet.inside {
        set("decrypted", inside.whole.clone().into());
    }
    if let Some(error) = &packet.error {
        set("error", error.clone().into());
    }
    Value::Object(object)
}
