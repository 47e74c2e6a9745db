//! Commands: variables written, and how that is known to be done.

use std::time::Duration;

use guideway_contract::{CommandRequest, Outcome, Outlet, SessionEnd};
use tokio::time::Instant;

use crate::Address;
use crate::config::Acknowledge;
use crate::line::{Answer, Line, SENTINEL, Told};
use crate::plan::Plan;

/// How long a control that answers nothing of use to a write may take to say no.
const LISTEN: Duration = Duration::from_millis(200);

/// Does a command and answers it.
///
/// # Errors
/// The session is over; the command has been answered.
pub(crate) async fn serve(
    line: &mut Line,
    plan: &Plan,
    acknowledge: Acknowledge,
    request: CommandRequest,
    outlet: &Outlet,
) -> Result<(), SessionEnd> {
    let deadline = Instant::now() + request.command.timeout;
    let mut writes = Vec::with_capacity(request.command.writes.len());
    let mut refused = None;
    for write in &request.command.writes {
        match plan.write(write.point, &write.value) {
            Ok(write) => writes.push(write),
            Err(why) => {
                refused = Some(why);
                break;
            }
        }
    }
    let (outcome, end) = match refused {
        Some(why) => (Outcome::Refused(why), None),
        None => run(line, &writes, acknowledge, deadline, outlet).await,
    };
    // A requester that has gone away no longer needs the answer.
    let _ = request.reply.send(outcome);
    end.map_or(Ok(()), Err)
}

async fn run(
    line: &mut Line,
    writes: &[(u32, String)],
    acknowledge: Acknowledge,
    deadline: Instant,
    outlet: &Outlet,
) -> (Outcome, Option<SessionEnd>) {
    for (index, (variable, value)) in writes.iter().enumerate() {
        if Instant::now() >= deadline {
            let why = format!("no time was left for variable {variable}");
            return (if index == 0 { Outcome::NotSent(why) } else { Outcome::Refused(why) }, None);
        }
        let told = match acknowledge {
            Acknowledge::Reply => line.tell(*variable, value, deadline, outlet).await,
            Acknowledge::ReadBack => read_back(line, *variable, value, deadline, outlet).await,
        };
        match told {
            Ok(Told::Done) => {}
            Ok(Told::Refused(why)) => {
                return (Outcome::Refused(format!("the control refuses variable {variable}: {why}")), None);
            }
            Ok(Told::Silence) => {
                let why = format!("the control did not say whether variable {variable} was written");
                return (Outcome::Unknown(why.clone()), Some(SessionEnd::Protocol(why)));
            }
            Err(end) => return (Outcome::Unknown(format!("variable {variable}: {end}")), Some(end)),
        }
    }
    (Outcome::Done, None)
}

async fn read_back(
    line: &mut Line,
    variable: u32,
    value: &str,
    deadline: Instant,
    outlet: &Outlet,
) -> Result<Told, SessionEnd> {
    if let Told::Refused(why) =
        line.tell(variable, value, deadline.min(Instant::now() + LISTEN), outlet).await?
    {
        return Ok(Told::Refused(why));
    }
    let wanted: f64 = value.parse().unwrap_or(f64::NAN);
    let answer = line.ask(Address::Variable(variable), &[], None, outlet).await?;
    let reply = match answer {
        Answer::Refused(why) => return Ok(Told::Refused(why.to_string())),
        Answer::Sure(reply) => reply,
        Answer::Unnumbered(reply) => {
            // Only after an answer with a keyword of its own is it sure that this one was ours.
            line.ask(SENTINEL, &[], None, outlet).await?;
            if line.is_tainted() {
                return Ok(Told::Silence);
            }
            reply
        }
    };
    let found = reply.value().and_then(|text| text.parse::<f64>().ok());
    let equal = found.is_some_and(|found| (found - wanted).abs() <= 1e-6 * wanted.abs().max(1.0));
    Ok(if equal { Told::Done } else { Told::Refused(format!("it reads `{}` after the write", reply.text)) })
}
