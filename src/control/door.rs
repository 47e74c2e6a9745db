//! Everything that is looked at before a machine is touched.

use std::sync::Arc;

use guideway_contract::{Native, Timestamp};
use serde_json::{Map, Value as Json};

use super::claims::is_id;
use super::engine::{Inner, Weight};
use super::interlock::{self, Inputs};
use super::live::Seen;
use super::memory::{Begun, Known};
use super::rows::short;
use super::unit::{Hold, Running, Unit, Written};
use super::{Claim, Definition, End, Reason, Verify, values};

/// What became of a request at the door.
pub(super) enum Door {
    /// It is not acted on.
    Refused(Reason, String, Weight),
    /// The same request is being carried out.
    Wait,
    /// It has ended before; this is told again.
    Again(Box<End>),
    /// It only asked whether.
    Dry(String, Map<String, Json>),
    /// It is carried out.
    Open(Box<Job>),
}

/// A command that is about to be carried out.
pub(super) struct Job {
    pub(super) unit: Arc<Unit>,
    pub(super) definition: Arc<Definition>,
    pub(super) writes: Vec<Written>,
    pub(super) release: Vec<Written>,
    pub(super) expected: Option<Native>,
    pub(super) arguments: Native,
    /// The expected value stood there before.
    pub(super) stood: bool,
    /// What was looked at.
    pub(super) seen: Map<String, Json>,
    _hold: Hold,
}

impl Inner {
    /// Everything that is looked at before the machine is touched, in this order.
    pub(super) fn door(&self, claim: &Claim) -> Door {
        let now = Timestamp::now();
        let refused = |reason, detail: String| Door::Refused(reason, detail, Weight::Told);
        if !is_id(&claim.id) {
            let detail = "an id has 1 to 64 visible characters of ASCII without quotes";
            return refused(Reason::Malformed, detail.to_owned());
        }
        let unit = match self.unit(&claim.device) {
            Ok(unit) => unit,
            Err((reason, detail)) => return refused(reason, detail),
        };
        let Some(definition) = unit.machine.command(&claim.command) else {
            let detail = format!("{} permits no command `{}`", unit.machine.name, short(&claim.command));
            return refused(Reason::UnknownCommand, detail);
        };
        // Whoever asks again for what was carried out is told its one end, also when its time, or that of the permit, is
        // over by now.
        let used = |detail: String| Door::Refused(Reason::IdReused, detail, Weight::Light);
        match self.memory.lock().find(claim) {
            Known::New => {}
            Known::Running => return Door::Wait,
            Known::Ended(end) => return Door::Again(end),
            Known::Forgotten => {
                return used(format!("request `{}` has ended; how is in the audit", claim.id));
            }
            Known::Other => return used(format!("another request had the id `{}`", claim.id)),
        }
        if let Err(detail) = self.permits.covers(&claim.requester, &unit.machine.name, &claim.command, now) {
            return refused(Reason::NotPermitted, detail);
        }
        if claim.expires.nanos() <= now.nanos() {
            return refused(Reason::Expired, format!("it expired at {}, and now is {now}", claim.expires));
        }
        let most = i64::try_from(self.options.max_validity.as_nanos()).unwrap_or(i64::MAX);
        if claim.expires.nanos().saturating_sub(now.nanos()) > most {
            let most = self.options.max_validity.as_secs();
            let detail = format!(
                "it would be valid until {}; at most {most} s are allowed (max_validity)",
                claim.expires
            );
            return refused(Reason::ValidTooLong, detail);
        }
        match self.memory.lock().begin(claim, now) {
            Begun::New => {}
            // Two that come at once have both been new a moment ago.
            Begun::Known => return Door::Wait,
            Begun::Full => {
                let detail =
                    "more requests are valid than can be remembered; let them be valid for a shorter time";
                return refused(Reason::RateLimited, detail.to_owned());
            }
        }
        // From here on the id is used: what was refused while control was off must not act once it is on again.
        if let Some(off) = self.off(&self.look()) {
            return Door::Refused(Reason::ControlOff, off, Weight::Counts);
        }
        self.prepare(claim, unit, definition)
            .unwrap_or_else(|(reason, detail)| Door::Refused(reason, detail, Weight::Counts))
    }

    /// Arguments, interlock and what is to be written.
    fn prepare(
        &self,
        claim: &Claim,
        unit: &Arc<Unit>,
        definition: &Arc<Definition>,
    ) -> Result<Door, (Reason, String)> {
        let bad = |detail| (Reason::BadArgument, detail);
        let arguments = values::arguments(definition, &claim.arguments).map_err(bad)?;
        let running = Running {
            id: claim.id.clone(),
            command: claim.command.clone(),
            requester: claim.requester.name.clone(),
            since: Timestamp::now(),
        };
        let hold = unit.hold(running)?;
        if !unit.live.is_up() {
            return Err((Reason::Offline, format!("{} is not connected", unit.machine.name)));
        }
        let inputs = self.inputs(definition, unit, arguments)?;
        let values_of = |steps: &[super::Step]| -> Result<Vec<Written>, (Reason, String)> {
            let value = |step: &super::Step| {
                let rule = unit.live.rule(step.point).ok_or("there is no such point")?;
                let raw = values::unscaled(rule, inputs.evaluate(&step.value)?)?;
                Ok(Written { point: step.point, name: rule.name.clone(), raw })
            };
            let failed = |step: &super::Step, cause| {
                (Reason::BadArgument, format!("`{}` cannot be computed: {cause}", step.value.text()))
            };
            steps.iter().map(|step| value(step).map_err(|cause: String| failed(step, cause))).collect()
        };
        let writes = values_of(&definition.writes)?;
        let release = values_of(&definition.release)?;
        let mut expected = None;
        let mut stood = false;
        if let Some(verify) = &definition.verify {
            let value = inputs.evaluate(&verify.equals).map_err(|cause| {
                (Reason::BadArgument, format!("`{}` cannot be computed: {cause}", verify.equals.text()))
            })?;
            stood = stands(definition, verify, unit, &value)?;
            expected = Some(value);
        }
        if claim.dry_run {
            let list = |all: &[Written]| {
                all.iter().map(|one| format!("{} = {}", one.name, one.raw)).collect::<Vec<_>>().join(", ")
            };
            let mut detail = format!("would write {}", list(&writes));
            if !release.is_empty() {
                detail += &format!(", and at the end {}", list(&release));
            }
            return Ok(Door::Dry(detail, inputs.shown));
        }
        Ok(Door::Open(Box::new(Job {
            unit: unit.clone(),
            definition: definition.clone(),
            writes,
            release,
            expected,
            stood,
            arguments: inputs.arguments,
            seen: inputs.shown,
            _hold: hold,
        })))
    }

    /// What a command's expressions see now.
    ///
    /// # Errors
    /// What has no value or is too old, or that the interlock is not the case.
    pub(super) fn inputs(
        &self,
        definition: &Definition,
        unit: &Unit,
        arguments: Native,
    ) -> Result<Inputs, (Reason, String)> {
        let inputs = Inputs::gather(definition, &unit.live, &self.journal, &self.model.load(), arguments)?;
        inputs.judge(definition).map_err(|detail| (Reason::Interlock, detail))?;
        Ok(inputs)
    }

    /// The machine of that name or uuid.
    pub(super) fn unit(&self, called: &str) -> Result<&Arc<Unit>, (Reason, String)> {
        let is_it = |unit: &&Arc<Unit>| unit.machine.name == called || unit.machine.uuid == called;
        let mut found = self.units.iter().filter(is_it);
        match (found.next(), found.next()) {
            (Some(unit), None) => Ok(unit),
            (Some(_), Some(_)) => Err((
                Reason::AmbiguousDevice,
                format!("several devices are called `{}`; name a uuid", short(called)),
            )),
            (None, _) => {
                Err((Reason::UnknownDevice, format!("no device `{}` permits commands", short(called))))
            }
        }
    }

    /// Whether a command without arguments could be carried out now.
    pub(super) fn is_ready(&self, device: &str, command: &str) -> bool {
        let Ok(unit) = self.unit(device) else { return false };
        let Some(definition) = unit.machine.command(command) else { return false };
        // What depends on arguments is not looked at.
        let is_clear = |inputs: &Inputs| match &definition.verify {
            Some(verify) => inputs
                .evaluate(&verify.equals)
                .map_or(true, |value| stands(definition, verify, unit, &value).is_ok()),
            None => true,
        };
        self.switch.borrow().on
            && unit.live.is_up()
            && !unit.is_taken()
            && self.inputs(definition, unit, Native::Record([].into())).is_ok_and(|inputs| is_clear(&inputs))
    }
}

/// Whether the answer to a command stands there already.
///
/// # Errors
/// Where it must not: that it does, or that nobody knows. An old answer that is first read after the writes would be
/// taken for the new one.
pub(super) fn stands(
    definition: &Definition,
    verify: &Verify,
    unit: &Unit,
    value: &Native,
) -> Result<bool, (Reason, String)> {
    let is_it = |seen: Seen| values::equal(&seen.value, value, verify.tolerance);
    if verify.standing {
        return Ok(unit.live.point(verify.point).is_some_and(is_it));
    }
    if is_it(interlock::reading(&unit.live, verify.point.0, definition.max_age)?) {
        let name = unit.live.name(verify.point.0);
        let detail = format!(
            "`{name}` is {value} already, so that nobody could tell whether the machine took this command"
        );
        return Err((Reason::AnswerStands, detail));
    }
    Ok(false)
}
