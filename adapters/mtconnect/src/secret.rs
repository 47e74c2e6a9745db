//! Secrets that a configuration names instead of holding them.

/// A secret as it is sent: `$NAME` is taken from the environment, `$$…` is one that begins with a dollar
/// sign.
pub(crate) fn resolve(written: &str) -> Result<String, String> {
    match written.strip_prefix('$') {
        None => Ok(written.to_owned()),
        Some(rest) if rest.starts_with('$') => Ok(rest.to_owned()),
        Some(name) => std::env::var(name).map_err(|_| {
            format!("the environment variable {name} is not set, or is no text; set it for the gateway")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_may_come_from_the_environment() {
        assert_eq!(resolve("secret").as_deref(), Ok("secret"));
        assert_eq!(resolve("$$ecret").as_deref(), Ok("$ecret"));
        assert!(resolve("$CARGO_PKG_NAME").is_ok());
        assert!(resolve("$NO_SUCH_VARIABLE_HERE").unwrap_err().contains("NO_SUCH_VARIABLE_HERE"));
    }
}
