//! Requesters with a password.

use std::sync::Arc;

use smol_str::SmolStr;
use tokio::sync::Semaphore;

use super::rate::Rates;
use super::{Options, password};

/// Passwords that are checked at a time: each takes a core and 19 MiB for as long as it takes.
const CHECKED_AT_ONCE: usize = 2;
/// Wrong passwords of one name: so many at once, and then this many a minute.
const WRONG: (u32, u32) = (5, 12);
/// Passwords of names that nobody has, all together.
const STRANGERS: &str = "";

/// Knows requesters by name and password.
pub(super) struct Logins {
    known: Vec<Login>,
    tries: Rates,
    permits: Arc<Semaphore>,
}

struct Login {
    name: SmolStr,
    roles: Vec<SmolStr>,
    hash: Arc<str>,
}

impl Logins {
    pub(super) fn new(options: &Options) -> Self {
        let login = |requester: &super::options::RequesterOptions| {
            let hash = requester.password.as_deref()?.into();
            Some(Login { name: requester.name.clone(), roles: requester.roles.clone(), hash })
        };
        Self {
            known: options.requester.iter().filter_map(login).collect(),
            tries: Rates::new(WRONG.0, WRONG.1),
            permits: Arc::new(Semaphore::new(CHECKED_AT_ONCE)),
        }
    }

    /// The roles of whoever has that password.
    pub(super) async fn check(&self, name: &str, given: &str) -> Option<Vec<SmolStr>> {
        let login = self.known.iter().find(|login| login.name == name);
        // Somebody who does not exist costs the same time, so that it does not tell who does.
        let hash = login.or(self.known.first())?.hash.clone();
        let permit = self.permits.clone().acquire_owned().await.ok()?;
        // Not before: whoever waits with the right password must not count as one with a wrong one meanwhile.
        self.tries.take(login.map_or(STRANGERS, |login| &login.name)).ok()?;
        let given = given.to_owned();
        let checked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            password::matches(&given, &hash)
        });
        let is_right = checked.await.unwrap_or(false);
        if is_right && let Some(login) = login {
            self.tries.give_back(&login.name);
        }
        login.filter(|_| is_right).map(|login| login.roles.clone())
    }
}
