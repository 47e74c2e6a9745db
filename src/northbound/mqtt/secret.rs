//! Values that may be taken from the environment.

/// `$NAME` and `${NAME}` give the variable's value, `$$…` a text that begins with a dollar sign, and
/// everything else itself. The error names the variable, never a value.
pub(super) fn resolve(given: &str) -> Result<String, String> {
    let Some(name) = given.strip_prefix('$') else { return Ok(given.to_owned()) };
    if name.starts_with('$') {
        return Ok(name.to_owned());
    }
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => format!("the environment has no variable `{name}`"),
        std::env::VarError::NotUnicode(_) => format!("the environment's variable `{name}` is not UTF-8"),
    })
}

/// User name and password of a connection; none without a user name.
pub(super) fn credentials(
    username: Option<&str>,
    password: Option<&str>,
) -> Result<Option<(String, String)>, String> {
    let Some(name) = username else { return Ok(None) };
    let password = password.map(resolve).transpose()?;
    Ok(Some((resolve(name)?, password.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_taken_from_the_environment() {
        let path = std::env::var("PATH").expect("every process has one");
        assert_eq!(resolve("$PATH"), Ok(path.clone()));
        assert_eq!(resolve("${PATH}"), Ok(path));
        assert_eq!(resolve("plain"), Ok("plain".into()));
        assert_eq!(resolve("$$dollar"), Ok("$dollar".into()));
        assert!(resolve("$NO_SUCH_VARIABLE").expect_err("missing").contains("NO_SUCH_VARIABLE"));
    }
}
