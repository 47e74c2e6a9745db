//! Who may log in, and what they may do then.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use guideway_contract::Timestamp;
use opcua_crypto::{SecurityPolicy, Thumbprint};
use opcua_server::ServerEndpoint;
use opcua_server::address_space::AccessLevel;
use opcua_server::authenticator::{
    AuthManager, CoreServerPermissions, Password, UserToken, user_pass_security_policy_id,
};
use opcua_types::{Error, MessageSecurityMode, NodeId, StatusCode, UAString, UserTokenPolicy, UserTokenType};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::super::control::Desk;
use super::super::{Options, Role, StartError};
use super::certificate::Certificate;
use super::rate::Rate;
use crate::control::password;

/// The library's word for clients without a name; nobody may be called so.
pub const ANONYMOUS: &str = opcua_server::ANONYMOUS_USER_TOKEN_ID;

/// Passwords that are checked at a time: each takes a core and 19 MiB for as long as it takes.
const CHECKED_AT_ONCE: usize = 2;

/// Wrong passwords of one user, and then one more every this many seconds.
const WRONG_OF_ONE: (f64, f64) = (5.0, 5.0);

/// Wrong passwords of all users together, and then one more every this many seconds.
const WRONG_OF_ALL: (f64, f64) = (30.0, 1.0);

/// Answers the server's questions about users.
pub(crate) struct Access {
    anonymous: bool,
    users: HashMap<String, Login>,
    /// Checked in place of the hash of a user that does not exist, so that the time that it takes
    /// does not tell who exists.
    nobody: Arc<str>,
    permits: Arc<Semaphore>,
    wrong: Mutex<Wrong>,
    /// Who knows who may ask for which command; without control nobody may.
    desk: Option<Arc<Desk>>,
}

struct Login {
    password: Option<Arc<str>>,
    certificate: Option<Certificate>,
    role: Role,
}

/// Wrong passwords. One entry for each user that exists and one for all that do not.
struct Wrong {
    all: Rate,
    of: HashMap<String, Rate>,
    unknown: Rate,
}

impl Access {
    /// The users of a configuration.
    pub(crate) fn of(options: &Options, desk: Option<Arc<Desk>>) -> Result<Self, StartError> {
        let mut users = HashMap::new();
        for user in &options.users {
            let refuse = |cause: String| StartError::Server(format!("user {:?}: {cause}", user.name));
            if user.name.is_empty() || user.name == ANONYMOUS {
                return Err(refuse("the name cannot be used; take another one".into()));
            }
            if let Some(hash) = &user.password {
                password::check(hash)
                    .map_err(|why| refuse(format!("password: {why}; `guideway opcua hash` makes one")))?;
            }
            let read = |path: &PathBuf| {
                let refuse = |cause| StartError::Pki { path: path.clone(), cause };
                Certificate::read(path).map_err(|cause| refuse(format!("{cause} (user {:?})", user.name)))
            };
            let login = Login {
                password: user.password.as_deref().map(Arc::from),
                certificate: user.certificate.as_ref().map(read).transpose()?,
                role: user.role,
            };
            if users.insert(user.name.clone(), login).is_some() {
                return Err(refuse("is there twice; give each a name of its own".into()));
            }
        }
        // The same work as for a user that exists.
        let like = users.values().find_map(|user| user.password.clone());
        let nobody = match like {
            Some(hash) => hash,
            None => password::hash("").map_err(StartError::Server)?.into(),
        };
        let of = users.keys().map(|name| (name.clone(), Rate::new(WRONG_OF_ONE))).collect();
        Ok(Self {
            anonymous: options.anonymous,
            users,
            nobody,
            permits: Arc::new(Semaphore::new(CHECKED_AT_ONCE)),
            wrong: Mutex::new(Wrong { all: Rate::new(WRONG_OF_ALL), of, unknown: Rate::new(WRONG_OF_ONE) }),
            desk,
        })
    }

    /// What whoever has that token may do.
    pub(crate) fn role(&self, token: &UserToken) -> Role {
        self.users.get(&token.0).map(|user| user.role).unwrap_or_default()
    }

    fn allows_anonymous(&self, endpoint: &ServerEndpoint) -> bool {
        // The endpoint without security is there only when it was asked for, and is for anonymous
        // clients only.
        self.anonymous || !is_secure(endpoint)
    }

    async fn is_password(&self, user: &str, password: &Password) -> bool {
        let login = self.users.get(user).and_then(|user| user.password.clone());
        let known = login.is_some();
        let hash = login.unwrap_or_else(|| self.nobody.clone());
        let given = password.get().to_owned();
        // Never closed.
        let Ok(permit) = self.permits.clone().acquire_owned().await else { return false };
        let checked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            password::matches(&given, &hash)
        });
        checked.await.unwrap_or(false) && known
    }
}

impl Wrong {
    fn too_many(&mut self, user: &str) -> bool {
        let one = self.of.get_mut(user).unwrap_or(&mut self.unknown);
        one.is_empty() || self.all.is_empty()
    }

    fn count(&mut self, user: &str) {
        self.all.take();
        self.of.get_mut(user).unwrap_or(&mut self.unknown).take();
    }
}

fn is_secure(endpoint: &ServerEndpoint) -> bool {
    endpoint.message_security_mode() != MessageSecurityMode::None
        && endpoint.security_policy() != SecurityPolicy::None
}

/// The same words whatever was wrong.
fn rejected() -> Error {
    Error::new(StatusCode::BadIdentityTokenRejected, "user name or password is wrong")
}

#[async_trait]
impl AuthManager for Access {
    async fn authenticate_anonymous_token(&self, endpoint: &ServerEndpoint) -> Result<(), Error> {
        if self.allows_anonymous(endpoint) {
            return Ok(());
        }
        Err(Error::new(StatusCode::BadIdentityTokenRejected, "anonymous clients are not let in here"))
    }

    async fn authenticate_username_identity_token(
        &self,
        endpoint: &ServerEndpoint,
        username: &str,
        password: &Password,
    ) -> Result<UserToken, Error> {
        // The library has looked at the endpoint's policies already.
        if !is_secure(endpoint) {
            return Err(rejected());
        }
        let shown: String = username.chars().filter(|c| !c.is_control()).take(64).collect();
        if self.wrong.lock().too_many(username) {
            tracing::warn!(user = shown, "OPC UA login refused: too many wrong passwords lately");
            return Err(rejected());
        }
        if self.is_password(username, password).await {
            tracing::info!(user = shown, role = ?self.role(&UserToken(username.to_owned())), "OPC UA login");
            return Ok(UserToken(username.to_owned()));
        }
        self.wrong.lock().count(username);
        tracing::warn!(user = shown, "OPC UA login refused: user name or password is wrong");
        Err(rejected())
    }

    async fn authenticate_x509_identity_token(
        &self,
        endpoint: &ServerEndpoint,
        signing_thumbprint: &Thumbprint,
    ) -> Result<UserToken, Error> {
        let refuse = |why: &str| Err(Error::new(StatusCode::BadIdentityTokenRejected, why.to_owned()));
        if !is_secure(endpoint) {
            return refuse("not over this endpoint");
        }
        let found = self.users.iter().find_map(|(name, user)| {
            let certificate = user.certificate.as_ref()?;
            (certificate.thumbprint() == *signing_thumbprint).then_some((name, certificate, user.role))
        });
        let Some((name, certificate, role)) = found else {
            let fingerprint = signing_thumbprint.as_hex_string();
            tracing::warn!(fingerprint, "OPC UA login refused: no user has that certificate");
            return refuse("no user has that certificate");
        };
        if !certificate.holds(Timestamp::now()) {
            tracing::warn!(user = name, until = %certificate.valid_until(), "OPC UA login refused: the user's certificate has ended");
            return refuse("the certificate does not hold now");
        }
        tracing::info!(user = name, ?role, "OPC UA login by certificate");
        Ok(UserToken(name.clone()))
    }

    fn effective_user_access_level(
        &self,
        token: &UserToken,
        user_access_level: AccessLevel,
        node_id: &NodeId,
    ) -> AccessLevel {
        let mut level = user_access_level & (AccessLevel::CURRENT_READ | AccessLevel::HISTORY_READ);
        // Machines are written to by commands only; very few variables are bound to one.
        if user_access_level.contains(AccessLevel::CURRENT_WRITE)
            && self.desk.as_ref().is_some_and(|desk| desk.may_write(token, node_id))
        {
            level |= AccessLevel::CURRENT_WRITE;
        }
        level
    }

    fn is_user_executable(&self, token: &UserToken, method_id: &NodeId) -> bool {
        // The standard's own methods tell a client what it may read anyway.
        method_id.namespace == 0 || self.desk.as_ref().is_some_and(|desk| desk.may_call(token, method_id))
    }

    fn user_token_policies(&self, endpoint: &ServerEndpoint) -> Vec<UserTokenPolicy> {
        let policy = |policy_id: UAString, token_type, security_policy_uri| UserTokenPolicy {
            policy_id,
            token_type,
            issued_token_type: UAString::null(),
            issuer_endpoint_url: UAString::null(),
            security_policy_uri,
        };
        let mut policies = Vec::new();
        if self.allows_anonymous(endpoint) {
            policies.push(policy("anonymous".into(), UserTokenType::Anonymous, UAString::null()));
        }
        if !is_secure(endpoint) {
            return policies;
        }
        // With `Sign` too the password travels encrypted with our key, and the nonce keeps it from
        // being sent again.
        let uri = UAString::from(endpoint.security_policy().to_uri());
        if self.users.values().any(|user| user.password.is_some()) {
            let id = user_pass_security_policy_id(endpoint);
            policies.push(policy(id, UserTokenType::UserName, uri.clone()));
        }
        if self.users.values().any(|user| user.certificate.is_some()) {
            policies.push(policy("x509".into(), UserTokenType::Certificate, uri));
        }
        policies
    }

    fn core_permissions(&self, token: &UserToken) -> CoreServerPermissions {
        CoreServerPermissions { read_diagnostics: self.role(token) >= Role::Engineer }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::User;
    use super::*;

    fn user(name: &str, password: Option<&str>, role: Role) -> User {
        User {
            name: name.into(),
            password: password.map(|password| password::hash(password).unwrap()),
            certificate: None,
            role,
        }
    }

    fn access(users: Vec<User>) -> Access {
        Access::of(&Options { users, ..Options::default() }, None).unwrap()
    }

    fn endpoint(policy: SecurityPolicy, mode: MessageSecurityMode) -> ServerEndpoint {
        ServerEndpoint::new("/", policy, mode, &[])
    }

    fn encrypted() -> ServerEndpoint {
        endpoint(SecurityPolicy::Basic256Sha256, MessageSecurityMode::SignAndEncrypt)
    }

    async fn login(access: &Access, endpoint: &ServerEndpoint, name: &str, password: &str) -> bool {
        let password = Password::new(password.into());
        access.authenticate_username_identity_token(endpoint, name, &password).await.is_ok()
    }

    #[tokio::test]
    async fn a_user_logs_in_with_the_password_and_has_the_role() {
        let access = access(vec![
            user("anna", Some("spindle"), Role::Engineer),
            user("otto", Some("chuck"), Role::Viewer),
        ]);
        assert!(login(&access, &encrypted(), "anna", "spindle").await);
        assert!(!login(&access, &encrypted(), "anna", "chuck").await);
        assert!(!login(&access, &encrypted(), "nobody", "spindle").await);
        let token = |name: &str| UserToken(name.into());
        assert!(access.core_permissions(&token("anna")).read_diagnostics);
        assert!(!access.core_permissions(&token("otto")).read_diagnostics);
        assert!(!access.core_permissions(&token(ANONYMOUS)).read_diagnostics);
        assert!(!access.is_user_executable(&token("anna"), &NodeId::new(3, "start")), "there is no control");
        assert!(access.is_user_executable(&token("otto"), &NodeId::new(0, 11_492)));
    }

    #[tokio::test]
    async fn a_user_without_a_password_cannot_log_in_with_an_empty_one() {
        let access = access(vec![user("anna", None, Role::Viewer)]);
        assert!(!login(&access, &encrypted(), "anna", "").await);
        assert!(access.user_token_policies(&encrypted()).is_empty());
    }

    #[tokio::test]
    async fn no_user_name_is_taken_over_the_endpoint_without_security() {
        let access = access(vec![user("anna", Some("spindle"), Role::Viewer)]);
        let none = endpoint(SecurityPolicy::None, MessageSecurityMode::None);
        assert!(!login(&access, &none, "anna", "spindle").await);
        let kinds = |endpoint| -> Vec<_> {
            access.user_token_policies(endpoint).iter().map(|policy| policy.token_type).collect()
        };
        assert_eq!(kinds(&none), [UserTokenType::Anonymous]);
        assert_eq!(kinds(&encrypted()), [UserTokenType::UserName]);
        assert!(access.authenticate_anonymous_token(&none).await.is_ok());
        assert!(access.authenticate_anonymous_token(&encrypted()).await.is_err());
    }

    #[tokio::test]
    async fn no_policy_that_is_broken_is_offered_for_any_token() {
        let mut options = Options { anonymous: true, ..Options::default() };
        options.users = vec![user("anna", Some("spindle"), Role::Viewer)];
        let access = Access::of(&options, None).unwrap();
        for policy in [
            SecurityPolicy::Basic256Sha256,
            SecurityPolicy::Aes128Sha256RsaOaep,
            SecurityPolicy::Aes256Sha256RsaPss,
        ] {
            for mode in [MessageSecurityMode::Sign, MessageSecurityMode::SignAndEncrypt] {
                for offered in access.user_token_policies(&endpoint(policy, mode)) {
                    let uri = offered.security_policy_uri;
                    assert!(uri.is_null() || uri.as_ref() == policy.to_uri(), "{uri:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn somebody_who_guesses_is_stopped_and_others_are_not() {
        let access = access(vec![
            user("anna", Some("spindle"), Role::Viewer),
            user("otto", Some("chuck"), Role::Viewer),
        ]);
        for _ in 0..5 {
            assert!(!login(&access, &encrypted(), "anna", "guess").await);
            assert!(!login(&access, &encrypted(), "somebody else", "guess").await);
        }
        assert!(!login(&access, &encrypted(), "anna", "spindle").await, "not within five seconds");
        assert!(login(&access, &encrypted(), "otto", "chuck").await);
        assert_eq!(access.wrong.lock().of.len(), 2);
    }

    #[test]
    fn nothing_can_be_written() {
        let access = access(Vec::new());
        let all = AccessLevel::all();
        let left = access.effective_user_access_level(&UserToken("x".into()), all, &NodeId::null());
        assert_eq!(left.bits(), (AccessLevel::CURRENT_READ | AccessLevel::HISTORY_READ).bits());
    }

    #[test]
    fn a_plain_password_is_refused_without_being_repeated() {
        let mut plain = user("anna", None, Role::Viewer);
        plain.password = Some("spindle".into());
        let error = Access::of(&Options { users: vec![plain], ..Options::default() }, None)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("guideway opcua hash") && !error.contains("spindle"), "{error}");
    }
}
