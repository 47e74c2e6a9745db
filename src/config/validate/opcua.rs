//! `[opcua]`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Check;
use crate::config::configuration::Configuration;
use crate::control::password;
use crate::northbound::opcua::{Options, User, security};

/// What stands before every finding.
const LABEL: &str = "[opcua]";

/// A certificate that ends within this time is told of, in nanoseconds: 30 days.
const SOON: i64 = 30 * 86_400 * 1_000_000_000;

impl Check<'_> {
    pub(super) fn opcua(&mut self, configuration: &Configuration) {
        let Some(options) = configuration.opcua.as_ref().filter(|options| options.enabled) else { return };
        self.opcua_address(configuration, options);
        self.opcua_endpoints(options);
        self.opcua_limits(options);
        for (index, user) in options.users.iter().enumerate() {
            self.opcua_user(&format!("opcua.users[{index}]"), user);
        }
        let names = options.users.iter().enumerate();
        self.twice(
            "opcua: user",
            names.map(|(index, user)| (format!("opcua.users[{index}].name"), user.name.as_str())),
        );
        if let Some(folder) = &options.pki_dir
            && folder.exists()
            && !folder.is_dir()
        {
            let what = format!("{LABEL}: pki_dir `{}` is not a folder", folder.display());
            self.error("opcua.pki_dir", what, "name a folder; it is made where it does not exist");
        }
        if let Some(folder) = options.nodesets.as_ref().filter(|folder| !folder.is_dir()) {
            let what = format!("{LABEL}: there is no folder `{}`", folder.display());
            self.error("opcua.nodesets", what, "mend the path, or take the line away");
        }
    }

    fn opcua_address(&mut self, configuration: &Configuration, options: &Options) {
        let taken = |port: u16, address: std::net::IpAddr| {
            let same =
                address == options.address || address.is_unspecified() || options.address.is_unspecified();
            options.port != 0 && port == options.port && same
        };
        let http = &configuration.mtconnect;
        let telemetry = configuration.telemetry.listen;
        let other = if http.enabled && taken(http.port, http.address) {
            Some("[mtconnect]")
        } else {
            telemetry.filter(|listen| taken(listen.port(), listen.ip())).map(|_| "[telemetry]")
        };
        if let Some(other) = other {
            let what = format!("{LABEL}: port {} is that of {other}", options.port);
            self.error("opcua.port", what, "take another port; OPC UA's own is 4840");
        }
        let mut seen = BTreeSet::new();
        for (index, host) in options.hostnames.iter().enumerate() {
            let at = format!("opcua.hostnames[{index}]");
            if !is_host(host) {
                let what = format!("{LABEL}: hostnames: `{host}` is no host name and no IP address");
                self.error(
                    &at,
                    what,
                    "write a name or an address alone: no `opc.tcp://`, no port, no brackets",
                );
            } else if !seen.insert(host.to_ascii_lowercase()) {
                let what = format!("{LABEL}: hostnames: `{host}` is there twice");
                self.warning(&at, what, "name each once");
            }
        }
        if let Some(url) = &options.discovery_url {
            let rest = url.strip_prefix("opc.tcp://").unwrap_or_default();
            if rest.is_empty() || rest.starts_with([':', '/']) || rest.contains(char::is_whitespace) {
                let what = format!("{LABEL}: discovery_url `{url}` is no address of OPC UA");
                self.error("opcua.discovery_url", what, "write `opc.tcp://host:4840`");
            }
        }
    }

    fn opcua_endpoints(&mut self, options: &Options) {
        let encrypted = !options.policies.is_empty() && !options.modes.is_empty();
        if !encrypted && !options.allow_none {
            let key = if options.policies.is_empty() { "policies" } else { "modes" };
            let what = format!("{LABEL}: there is no endpoint: `{key}` is empty, and `allow_none` is false");
            self.error(&format!("opcua.{key}"), what, "take the line away for what is secure");
        }
        if encrypted && options.users.is_empty() && !options.anonymous && !options.allow_none {
            let what = format!("{LABEL}: nobody can log in: there are no users, and `anonymous` is false");
            let cure =
                "add `[[opcua.users]]` with a hash of `guideway opcua hash`, or write `anonymous = true`";
            self.warning("opcua", what, cure);
        }
        if !encrypted && !options.users.is_empty() {
            let what = format!("{LABEL}: users cannot log in: without security no password is taken");
            self.warning("opcua.users", what, "name `policies` and `modes`, or take the users away");
        }
        if options.allow_none && !options.address.is_loopback() {
            let what = format!("{LABEL}: everybody who reaches port {} can read everything", options.port);
            self.warning(
                "opcua.allow_none",
                what,
                "leave `allow_none` out wherever the network is not your own",
            );
        }
        if options.trust_all {
            let what = format!("{LABEL}: every client certificate is let in");
            let cure = "leave `trust_all` out, and let each client in with `guideway opcua trust`";
            self.warning("opcua.trust_all", what, cure);
        }
    }

    fn opcua_user(&mut self, at: &str, user: &User) {
        let label = format!("{LABEL}: user {:?}", user.name);
        if user.name.trim().is_empty() || user.name.chars().any(char::is_control) {
            let what = format!("{label}: the name is empty or has control characters in it");
            self.error(&format!("{at}.name"), what, "write a name");
        } else if user.name == security::ANONYMOUS {
            let what = format!("{label}: that name means clients without one");
            self.error(&format!("{at}.name"), what, "take another one");
        }
        match (&user.password, &user.certificate) {
            (None, None) => {
                let cure =
                    "add `password` with what `guideway opcua hash` prints, or `certificate` with a file";
                self.error(at, format!("{label} has neither password nor certificate"), cure);
            }
            (hash, certificate) => {
                // It may be a password: it is not repeated.
                if let Some(why) = hash.as_ref().and_then(|hash| password::check(hash).err()) {
                    let what = format!("{label}: password: {why}");
                    let cure = "passwords are kept as hashes only: write what `guideway opcua hash` prints";
                    self.error(&format!("{at}.password"), what, cure);
                }
                if let Some(path) = certificate {
                    self.opcua_certificate(&format!("{at}.certificate"), &label, path);
                }
            }
        }
    }

    fn opcua_certificate(&mut self, at: &str, label: &str, path: &std::path::Path) {
        let before = self.findings.errors();
        self.file(at, &format!("{label}: certificate"), path);
        if self.findings.errors() > before {
            return;
        }
        match security::Certificate::read(path) {
            Err(why) => {
                let what = format!("{label}: certificate: `{}` {why}", path.display());
                self.error(at, what, "name the user's certificate, DER or PEM");
            }
            Ok(certificate) => {
                let left = certificate.valid_until().nanos() - guideway_contract::Timestamp::now().nanos();
                if left < SOON {
                    let ends = if left < 0 { "has ended" } else { "ends soon" };
                    let until = certificate.valid_until();
                    let what = format!("{label}: the certificate {ends}: {until}");
                    self.warning(at, what, "ask the user for a new one");
                }
            }
        }
    }

    fn opcua_limits(&mut self, options: &Options) {
        let limits = &options.limits;
        let ranges = [
            ("connections", limits.connections, 1, 10_000),
            ("sessions", limits.sessions, 1, 10_000),
            ("subscriptions", limits.subscriptions, 1, 10_000),
            ("items", limits.items, 1, 1_000_000),
            ("queue", limits.queue, 1, 100_000),
            ("notifications", limits.notifications, 1, 100_000),
            ("request_size", limits.request_size, 64 << 10, 64 << 20),
            ("message_size", limits.message_size, 64 << 10, 1 << 30),
            ("array_length", limits.array_length, 1_000, 10_000_000),
            ("history_values", limits.history_values, 1, 1_000_000),
        ];
        for (name, value, least, most) in ranges {
            let label = format!("[opcua.limits]: {name}");
            self.range(&format!("opcua.limits.{name}"), &label, value, least, most);
        }
        let at = "opcua.limits.session_timeout";
        let label = "[opcua.limits]: session_timeout";
        self.at_least(at, label, limits.session_timeout, Duration::from_secs(10));
        if limits.session_timeout > Duration::from_secs(86_400) {
            let cure = "a session that its client has left is kept for as long; write at most \"1d\"";
            self.error(at, format!("{label} is longer than a day"), cure);
        }
        if limits.connections < limits.sessions {
            let what = format!(
                "[opcua.limits]: {} connections carry no {} sessions",
                limits.connections, limits.sessions
            );
            self.warning(
                "opcua.limits.connections",
                what,
                "each client needs a connection; write more of them",
            );
        }
    }
}

/// A DNS name, or an IP address without brackets.
fn is_host(host: &str) -> bool {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_host;
    use crate::config::{Configuration, Finding, load_text};

    fn load(folder: &Path, text: &str) -> Result<(Configuration, Vec<Finding>), Vec<Finding>> {
        std::fs::write(folder.join("Devices.xml"), "<MTConnectDevices/>").unwrap();
        let text = format!("[[adapter.shdr]]\nhost = 'mill'\n{text}");
        load_text(&folder.join("g.toml"), text)
    }

    fn findings(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let found = match load(folder.path(), text) {
            Ok((_, warnings)) => warnings,
            Err(findings) => findings,
        };
        found
            .iter()
            .map(|finding| format!("{}: {} ({})", finding.severity, finding.what, finding.cure))
            .collect()
    }

    fn expect(text: &str, parts: &[&str]) {
        let found = findings(text);
        for part in parts {
            assert!(found.iter().any(|line| line.contains(part)), "{part:?} is missing in {found:#?}");
        }
    }

    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn a_hash_is_taken_as_it_stands_although_it_is_full_of_dollar_signs() {
        let text = format!("[opcua]\n[[opcua.users]]\nname = 'anna'\npassword = '{HASH}'\n");
        assert_eq!(findings(&text), [""; 0]);
    }

    #[test]
    fn a_plain_password_is_refused_and_not_repeated() {
        let text = "[opcua]\n[[opcua.users]]\nname = 'anna'\npassword = 'spindle'\n";
        expect(text, &["error: [opcua]: user \"anna\": password: it is no hash", "guideway opcua hash"]);
        assert!(!findings(text).concat().contains("spindle"));
    }

    #[test]
    fn a_server_that_nobody_can_use_is_told_of() {
        expect("[opcua]\n", &["warning: [opcua]: nobody can log in"]);
        expect("[opcua]\npolicies = []\n", &["error: [opcua]: there is no endpoint: `policies` is empty"]);
        expect("[opcua]\nmodes = []\n", &["error: [opcua]: there is no endpoint: `modes` is empty"]);
        let text =
            format!("[opcua]\nmodes = []\nallow_none = true\n[[opcua.users]]\nname='a'\npassword='{HASH}'\n");
        expect(&text, &["users cannot log in", "everybody who reaches port 4840"]);
    }

    #[test]
    fn what_is_unsafe_is_warned_of() {
        expect(
            "[opcua]\nanonymous = true\ntrust_all = true\n",
            &["warning: [opcua]: every client certificate"],
        );
        let local = "[opcua]\nallow_none = true\naddress = '127.0.0.1'\n";
        assert_eq!(findings(local), [""; 0]);
    }

    #[test]
    fn ports_names_users_and_limits_are_looked_over() {
        let text = "[opcua]\nanonymous = true\nport = 5000\nhostnames = ['opc.tcp://a', 'b', 'B', '[::1]']\n\
                    discovery_url = 'localhost:4840'\n\
                    [[opcua.users]]\nname = 'x'\ncertificate = 'x.der'\n\
                    [[opcua.users]]\nname = 'x'\n\
                    [[opcua.users]]\nname = 'ANONYMOUS'\n\
                    [opcua.limits]\nsessions = 0\nrequest_size = '1 KiB'\nsession_timeout = '1s'\nconnections = 5\n";
        expect(
            text,
            &[
                "error: [opcua]: port 5000 is that of [mtconnect]",
                "error: [opcua]: hostnames: `opc.tcp://a` is no host name",
                "error: [opcua]: hostnames: `[::1]` is no host name",
                "warning: [opcua]: hostnames: `B` is there twice",
                "error: [opcua]: discovery_url `localhost:4840`",
                "error: [opcua]: user \"x\": certificate: there is no file",
                "error: [opcua]: user \"x\" has neither password nor certificate",
                "error: opcua: user \"x\" is there twice",
                "error: [opcua]: user \"ANONYMOUS\": that name means clients without one",
                "error: [opcua.limits]: sessions 0 is out of range (1-10000)",
                "error: [opcua.limits]: request_size 1024 is out of range",
                "error: [opcua.limits]: session_timeout is shorter than 10000ms",
            ],
        );
    }

    #[test]
    fn a_server_that_is_switched_off_is_not_looked_over() {
        assert_eq!(findings("[opcua]\nenabled = false\nport = 5000\n"), [""; 0]);
    }

    #[test]
    fn paths_are_relative_to_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[opcua]\nanonymous = true\npki_dir = 'pki'\n";
        let (configuration, _) = load(folder.path(), text).unwrap();
        assert_eq!(configuration.opcua.unwrap().pki_dir.unwrap(), folder.path().join("pki"));
    }

    #[test]
    fn host_names_and_addresses_are_hosts() {
        for host in ["a", "mill-3.example.com", "10.0.0.7", "fe80::1", "under_score"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "a b", "a/b", "a:4840", "-a", "a..b", "höst", "[::1]"] {
            assert!(!is_host(host), "{host}");
        }
    }
}
