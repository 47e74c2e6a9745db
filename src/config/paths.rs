//! Paths are relative to the configuration file.

use std::path::{Path, PathBuf};

use super::configuration::Configuration;

/// Joins every relative path with `folder`.
pub(super) fn anchor(configuration: &mut Configuration, folder: &Path) {
    let anchor = |path: &mut PathBuf| {
        if path.is_relative() && !folder.as_os_str().is_empty() {
            *path = folder.join(&*path);
        }
    };
    configuration.model.devices.iter_mut().for_each(anchor);
    configuration.model.profiles.iter_mut().for_each(anchor);
    configuration.gateway.data_dir.iter_mut().for_each(anchor);
    configuration.log.file.iter_mut().for_each(anchor);
    for mount in &mut configuration.mtconnect.files {
        anchor(&mut mount.path);
    }
    if let Some(opcua) = &mut configuration.opcua {
        opcua.pki_dir.iter_mut().chain(&mut opcua.nodesets).for_each(anchor);
        opcua.users.iter_mut().filter_map(|user| user.certificate.as_mut()).for_each(anchor);
    }
    if let Some(control) = &mut configuration.control {
        control.off_file.iter_mut().for_each(anchor);
        control.requester.iter_mut().filter_map(|requester| requester.public_key.as_mut()).for_each(anchor);
    }
    let control = configuration.control_mqtt.iter_mut().map(|mqtt| &mut mqtt.tls);
    for tls in configuration.mqtt.iter_mut().map(|mqtt| &mut mqtt.tls).chain(control) {
        [&mut tls.ca, &mut tls.certificate, &mut tls.key].into_iter().flatten().for_each(anchor);
    }
}
