//! Who may log in, and what they may do then.

use async_trait::async_trait;
use opcua_server::ServerEndpoint;
use opcua_server::address_space::AccessLevel;
use opcua_server::authenticator::{AuthManager, UserToken};
use opcua_types::{Error, MessageSecurityMode, NodeId, StatusCode, UAString, UserTokenPolicy, UserTokenType};

use super::super::Options;

/// Answers the server's questions about users.
pub(crate) struct Access {
    anonymous: bool,
}

impl Access {
    /// The users of a configuration.
    pub(crate) fn of(options: &Options) -> Self {
        Self { anonymous: options.anonymous }
    }

    fn allows_anonymous(&self, endpoint: &ServerEndpoint) -> bool {
        // The endpoint without security is there only when it was asked for, and is for anonymous
        // clients only.
        self.anonymous || endpoint.message_security_mode() == MessageSecurityMode::None
    }
}

#[async_trait]
impl AuthManager for Access {
    async fn authenticate_anonymous_token(&self, endpoint: &ServerEndpoint) -> Result<(), Error> {
        if self.allows_anonymous(endpoint) {
            return Ok(());
        }
        Err(Error::new(StatusCode::BadIdentityTokenRejected, "anonymous clients are not let in here"))
    }

    fn effective_user_access_level(
        &self,
        _token: &UserToken,
        user_access_level: AccessLevel,
        _node_id: &NodeId,
    ) -> AccessLevel {
        user_access_level & (AccessLevel::CURRENT_READ | AccessLevel::HISTORY_READ)
    }

    fn user_token_policies(&self, endpoint: &ServerEndpoint) -> Vec<UserTokenPolicy> {
        let mut policies = Vec::new();
        if self.allows_anonymous(endpoint) {
            policies.push(UserTokenPolicy {
                policy_id: UAString::from("anonymous"),
                token_type: UserTokenType::Anonymous,
                issued_token_type: UAString::null(),
                issuer_endpoint_url: UAString::null(),
                security_policy_uri: UAString::null(),
            });
        }
        policies
    }
}
