//! `[adapter]` of a profile with `kind = "focas"`.

use std::time::Duration;

use guideway_contract::{HostPort, Issue, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Fanuc control with FOCAS over Ethernet switched on (its parameters 0 to 14 of the Ethernet function; TCP 8193).
///
/// The adapter only reads: nothing in it can write, start or change anything. A control serves few clients at a
/// time (5 to 10): end what is not needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Host name or address of the control, with its port where that is not 8193. The device's `address`.
    pub address: String,
    /// TCP port of FOCAS, as set in the control.
    pub port: u16,
    /// How long one attempt to connect may take.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long the control may take to answer one request.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// The most questions in one request (1 to 10). 1 where a control does not take several.
    pub batch: u8,
    /// Reads over gaps of at most so many PMC bytes or macro variables, rather than asking twice.
    pub max_gap: u16,
}

/// What a point has beside `addr`, `type` and `group`: nothing. `type` is only for PMC addresses and macro ranges;
/// everything else is as the control has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            port: 8_193,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            batch: 8,
            max_gap: 8,
        }
    }
}

impl Config {
    /// Host and port.
    ///
    /// # Errors
    /// The address cannot be read.
    pub fn host(&self) -> Result<(String, u16), String> {
        let found = HostPort::parse(&self.address, &["focas"])?;
        Ok((found.host, found.port.unwrap_or(self.port)))
    }

    /// Everything wrong with it.
    pub fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if !self.address.is_empty()
            && let Err(why) = self.host()
        {
            issues.push(Issue::new("address", why));
        }
        if self.port == 0 {
            issues.push(Issue::new("port", "0 is out of range (1-65535)"));
        }
        if !(1..=10).contains(&self.batch) {
            issues.push(Issue::new("batch", format!("{} is out of range (1-10)", self.batch)));
        }
        for (key, time) in [("connect_timeout", self.connect_timeout), ("timeout", self.timeout)] {
            if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&time) {
                issues.push(Issue::new(key, "write a time from 10ms to 60s"));
            }
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_told_at_once() {
        let read = |text| serde_json::from_str::<Config>(text);
        assert_eq!(read("{}").unwrap(), Config::default());
        assert!(Config::default().issues().is_empty());
        let config = read(r#"{"address":"a b","port":0,"batch":11,"timeout":"0ms"}"#).unwrap();
        let keys: Vec<_> = config.issues().iter().map(|issue| issue.key).collect();
        assert_eq!(keys, ["address", "port", "batch", "timeout"]);
        assert!(read(r#"{"write":true}"#).is_err());
    }
}
