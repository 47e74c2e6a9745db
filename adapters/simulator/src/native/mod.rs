//! Simulated machines that speak their native protocols.
//!
//! The servers' codecs are written for this crate, not shared with the adapters, so that each is a check on the
//! other. They serve one machine each and trust nothing that comes.

mod arm;
mod haas;
mod host;
mod mdc;
mod meter;
mod modbus;
mod opcua;
mod press;
mod probe;
mod s7;
mod text;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A simulated machine that speaks its native protocol.
#[derive(Debug)]
pub struct NativeMachine {
    name: &'static str,
    profile: &'static str,
    scheme: &'static str,
    settings: &'static [(&'static str, &'static str)],
    params: &'static [(&'static str, &'static str)],
    commands: &'static [&'static str],
    model: Model,
}

#[derive(Debug)]
enum Model {
    Haas(Box<haas::HaasControl>),
    Meter(Box<meter::Meter>),
    Press(Box<press::Press>),
    Arm(Box<arm::Arm>),
    Probe(Box<probe::ProbeStation>),
}

impl NativeMachine {
    /// The device's name, `HaasMill` for instance.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The id of the device profile that fits it, `haas-ngc-mill` for instance.
    pub const fn profile(&self) -> &'static str {
        self.profile
    }

    /// What a `[[device]]` writes as `address` when the machine is served on that port of 127.0.0.1.
    pub fn address(&self, port: u16) -> String {
        format!("{}127.0.0.1:{port}", self.scheme)
    }

    /// Keys of `[adapter]` that a `[[device]]` has to set otherwise than the profile, with their values (texts).
    pub const fn settings(&self) -> &'static [(&'static str, &'static str)] {
        self.settings
    }

    /// Parameters of the profile that an instance should set, with their values, which are texts.
    pub const fn params(&self) -> &'static [(&'static str, &'static str)] {
        self.params
    }

    /// Commands of the profile that the machine obeys.
    pub const fn commands(&self) -> &'static [&'static str] {
        self.commands
    }

    /// Lives, and serves the machine to its clients, until `cancel` fires.
    pub async fn serve(self, listener: TcpListener, cancel: CancellationToken) {
        match self.model {
            Model::Haas(control) => mdc::serve(*control, listener, cancel).await,
            Model::Meter(meter) => modbus::serve(*meter, listener, cancel).await,
            Model::Press(press) => s7::serve(*press, listener, cancel).await,
            Model::Arm(arm) => Box::pin(opcua::serve(*arm, listener, cancel)).await,
            Model::Probe(station) => text::serve(*station, listener, cancel).await,
        }
    }
}

/// One machine of each protocol. The same seed gives the same course of events.
pub(crate) fn machines(seed: u64) -> Vec<NativeMachine> {
    let machine = |name, profile, model| NativeMachine {
        name,
        profile,
        scheme: "",
        settings: &[],
        params: &[],
        commands: &[],
        model,
    };
    let seed = |number| seed.wrapping_add(number);
    vec![
        NativeMachine {
            commands: &["set_job"],
            ..machine("HaasMill", "haas-ngc-mill", Model::Haas(Box::new(haas::HaasControl::new(seed(10)))))
        },
        machine("PowerMeter", "eastron-sdm630", Model::Meter(Box::new(meter::Meter::new(seed(11))))),
        NativeMachine {
            commands: &["load_recipe", "set_target", "reset_counters"],
            ..machine(
                "PressCell",
                "siemens-s7-1500-cell",
                Model::Press(Box::new(press::Press::new(seed(12)))),
            )
        },
        NativeMachine {
            scheme: "opc.tcp://",
            settings: &[("security", "none")],
            params: &[("parts_node", "nsu=urn:guideway:simulator:robot;s=RAPID/T_ROB1/nParts")],
            ..machine("Robot", "abb-robot-opcua", Model::Arm(Box::new(arm::Arm::new(seed(13)))))
        },
        machine(
            "ProbeStation",
            "fanuc-dprnt-probe",
            Model::Probe(Box::new(probe::ProbeStation::new(seed(14)))),
        ),
    ]
}
