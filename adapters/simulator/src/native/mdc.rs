//! Machine data collection, as a Haas control answers it: Q commands and E commands over TCP.

use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::haas::HaasControl;
use super::host::{converse, host, lock};

/// Connections that a control takes.
const MOST_CLIENTS: usize = 2;
/// Characters of the longest command.
const LONGEST: usize = 64;

/// Serves the control until `cancel`. Each reply goes to all clients, as with a real one.
pub(crate) async fn serve(control: HaasControl, listener: TcpListener, cancel: CancellationToken) {
    let control = Arc::new(Mutex::new(control));
    let (say, _) = broadcast::channel::<Vec<u8>>(64);
    let live = |seconds| lock(&control).step(seconds);
    host(listener, cancel, MOST_CLIENTS, live, |stream| {
        let (control, reply, mut commands) = (control.clone(), say.clone(), Commands::default());
        converse(stream, say.subscribe(), move |bytes| {
            for command in commands.take(bytes) {
                let text = answer(&mut lock(&control), &command);
                // Whoever asked listens too, so it does not fail.
                let _ = reply.send(format!("\x02{text}\x17\r\n>").into_bytes());
            }
        })
    })
    .await;
}

/// Cuts what a client sends into commands.
#[derive(Debug, Default)]
struct Commands {
    line: Vec<u8>,
}

impl Commands {
    /// The commands that end with these bytes. One that is too long is no command: what comes of it is cut off.
    fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut commands = Vec::new();
        for byte in bytes {
            if matches!(byte, b'\r' | b'\n') {
                let line = std::mem::take(&mut self.line);
                if !line.is_empty() {
                    commands.push(String::from_utf8_lossy(&line).into_owned());
                }
            } else if self.line.len() < LONGEST {
                self.line.push(*byte);
            }
        }
        commands
    }
}

fn answer(control: &mut HaasControl, command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let number = |text: &str| text.parse::<u32>().ok();
    match words.as_slice() {
        ["?Q600", variable] => match number(variable).and_then(|number| control.variable(number)) {
            Some(value) => format!("MACRO, {variable}, {value:>12.6}"),
            None => "MACRO, ?, Q600-1".into(),
        },
        [query] if query.starts_with("?Q") => {
            match number(&query[2..]).and_then(|code| control.query(code)) {
                Some(text) => text,
                None => format!("?, {query}"),
            }
        }
        [write, value] if write.starts_with("?E") => {
            match (number(&write[2..]), value.parse::<f64>().ok().filter(|value| value.is_finite())) {
                (Some(variable), Some(value)) if control.set_variable(variable, value) => "!".into(),
                (Some(_), Some(_)) => "?, BAD VARIABLE NUMBER".into(),
                _ => "?, BAD MESSAGE".into(),
            }
        }
        _ => "?, BAD MESSAGE".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_and_nonsense_is_refused() {
        let mut control = HaasControl::new(1);
        let mut ask = |command: &str| answer(&mut control, command);
        assert_eq!(ask("?Q102"), "MODEL, VF2");
        assert_eq!(ask("?Q500").split(", ").next(), Some("PROGRAM"));
        assert!(ask("?Q600 5023").starts_with("MACRO, 5023, "));
        assert_eq!(ask("?Q999"), "?, ?Q999");
        assert_eq!(ask("?Q600 99"), "MACRO, ?, Q600-1");
        assert_eq!(ask("?E10600 12.5"), "!");
        assert_eq!(ask("?Q600 10600"), "MACRO, 10600,    12.500000");
        assert_eq!(ask("?E5021 1"), "?, BAD VARIABLE NUMBER");
        for nonsense in ["", "?", "?Q", "?Q\u{e9}", "?E10600", "?E10600 NaN", "?E10600 x", "Q100", "?Q600 -1"]
        {
            assert!(ask(nonsense).contains('?'), "{nonsense}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in "(\\?Q|\\?E|[0-9]{1,12}|600| |\r\n|\\PC|-|\\.){0,60}") {
            let (mut control, mut commands) = (HaasControl::new(1), Commands::default());
            for command in commands.take(bytes.as_bytes()) {
                proptest::prop_assert!(answer(&mut control, &command).len() < 200);
            }
            proptest::prop_assert!(commands.line.len() <= LONGEST);
        }
    }
}
