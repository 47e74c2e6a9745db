//! From a configuration to adapters.
//!
//! Protocols with points come by profiles ([`crate::protocols`]); `[[adapter.shdr]]` is for sources whose devices
//! are described in devices files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{Adapter, Backoff};

use smol_str::{SmolStr, format_smolstr};

use crate::config::{AdapterOptions, Adapters, Configuration, Instance};
use crate::control::Controlled;
use crate::northbound::interfaces::Interface;
use crate::pipeline::mapping::Mapping;
use crate::protocols::Bus;

/// An adapter that is ready to be supervised.
pub struct Source {
    /// What is configured for an adapter of any protocol.
    pub options: AdapterOptions,
    /// The protocol.
    pub adapter: Box<dyn Adapter>,
    /// The pauses between its sessions.
    pub backoff: Backoff,
    /// How its raw points become values of data items; `None` for adapters that are fed by key.
    pub mapping: Option<Arc<Mapping>>,
    /// Whether it brings its devices with it.
    pub takes_over: bool,
    /// The commands that are permitted of it, if any are.
    pub controlled: Option<Controlled>,
}

/// An adapter for each source that is configured. Does not touch the network.
pub fn sources(configuration: &Configuration) -> Vec<Source> {
    let Adapters { shdr } = &configuration.adapters;
    let shdr = shdr.iter().map(|settings| Source {
        options: settings.common.clone(),
        adapter: guideway_shdr::adapter(settings.config.clone()),
        backoff: Backoff::new(settings.config.reconnect_min, settings.config.reconnect_max),
        mapping: None,
        takes_over: false,
        controlled: None,
    });
    let buses: BTreeMap<&str, Bus> =
        configuration.buses.iter().map(|(name, bus)| (name.as_str(), Bus::new(bus))).collect();
    let machines = configuration.machines.iter().map(|instance| {
        let machine = &instance.machine;
        let bus = instance.bus.as_ref().and_then(|bus| buses.get(bus.as_str()));
        let on_bus = bus.and_then(|bus| machine.settings.adapter_on(bus));
        let adapter = on_bus.unwrap_or_else(|| machine.adapter());
        Source {
            options: instance.options.clone(),
            controlled: controlled(instance, &*adapter),
            adapter,
            // Back within ten seconds, also when the last pause has just begun and connecting takes a while.
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(5)),
            mapping: (!machine.mapping.points().is_empty()).then(|| machine.mapping.clone()),
            takes_over: machine.device.is_none(),
        }
    });
    shdr.chain(machines).collect()
}

/// The machine as control knows it; `None` where no command is permitted.
fn controlled(instance: &Instance, adapter: &dyn Adapter) -> Option<Controlled> {
    let machine = &instance.machine;
    let permitted = instance.commands.iter().filter_map(|name| machine.commands.get(name));
    let commands: Vec<_> = permitted.cloned().collect();
    let identity = &machine.identity;
    (!commands.is_empty()).then(|| Controlled {
        name: identity.name.clone(),
        uuid: identity.uuid.clone(),
        told: format_smolstr!("{}_command", identity.id),
        state: format_smolstr!("{}_control", identity.id),
        commands,
        mapping: machine.mapping.clone(),
        subscribed: adapter.capabilities().subscribed,
    })
}

/// The interfaces that machines answer.
pub fn answered(configuration: &Configuration) -> Vec<Interface> {
    let of_machine = |instance: &Instance| -> Vec<Interface> {
        let machine = &instance.machine;
        let of_interface = |(key, request): (&SmolStr, &SmolStr)| {
            let answered = machine.interfaces.get(key)?.clone();
            Some(Interface {
                key: key.clone(),
                device: machine.identity.uuid.clone(),
                command: answered.command,
                item_type: answered.item_type,
                request: request.clone(),
                response: answered.response,
                state: answered.state,
            })
        };
        instance.interfaces.iter().filter_map(of_interface).collect()
    };
    configuration.machines.iter().flat_map(of_machine).collect()
}

/// Condition ids came with version 2.3; before, a colon belongs to the native code.
pub fn without_condition_ids(adapters: &mut Adapters) {
    for source in &mut adapters.shdr {
        source.config.condition_ids = false;
    }
}
