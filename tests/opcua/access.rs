//! Who gets in, how, and what is refused.

use serde_json::{Value, json};

use crate::support::opcua::{PASSWORD, POLICIES, Peer, Spoken, Stage, USER, node, password_hash};

fn with_user(certificate: Option<&std::path::Path>) -> String {
    let hash = password_hash();
    let certificate =
        certificate.map_or_else(String::new, |file| format!("certificate = \"{}\"\n", file.display()));
    format!(
        "allow_none = true\nanonymous = true\n\n[[opcua.users]]\nname = \"{USER}\"\npassword = \"{}\"\n{certificate}",
        // A dollar sign would be a variable of the environment.
        hash.replace('$', "$$")
    )
}

fn by_password(user: &str, password: &str) -> Value {
    json!({"user": user, "password": password})
}

#[test]
fn each_client_gets_in_by_every_policy_and_mode_and_every_login_once_it_is_trusted() {
    let machine = Spoken::start();
    let peers = tempfile::tempdir().unwrap();
    let mut peers = Peer::all(peers.path());
    // The user's certificate is the one of asyncua; node-opcua uses it too.
    let (certificate, key) = (peers[0].certificate(), peers[0].certificate().with_file_name("key.pem"));
    let stage =
        Stage::new(&with_user(Some(&certificate))).machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    machine.say("|estop|ARMED\n");
    let by_certificate = json!({"user_certificate": certificate, "user_key": key});
    for peer in &mut peers {
        let name = peer.name;
        let first = Some((POLICIES[0], "SignAndEncrypt"));
        let refused = peer.login(&stage, first, json!({})).expect_err("an unknown certificate");
        println!("{name}, not trusted: {refused}");
        stage.trust();
        for policy in POLICIES {
            for mode in ["Sign", "SignAndEncrypt"] {
                for login in [json!({}), by_password(USER, PASSWORD), by_certificate.clone()] {
                    let said = peer.login(&stage, Some((policy, mode)), login.clone());
                    said.unwrap_or_else(|why| panic!("{name}, {policy}, {mode}, {login}: {why}"));
                    let value = peer.get(json!({"do": "value", "node": node("estop/ValueAsText")}));
                    assert_eq!((&value["value"], &value["status"]), (&json!("ARMED"), &json!("Good")));
                    peer.leave();
                }
            }
        }
        peer.connect(&stage);
        peer.leave();
    }
}

#[test]
fn each_client_is_told_which_endpoints_and_logins_there_are() {
    let machine = Spoken::start();
    let stage = Stage::new(&with_user(None)).machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    for mut peer in Peer::all(stage.folder.path()) {
        let mut request = json!({"do": "endpoints", "url": stage.url()});
        if peer.name == "node-opcua" {
            request["pki"] = json!(stage.folder.path().join("node-opcua/pki"));
        }
        let endpoints = peer.get(request.clone());
        let endpoints = endpoints.as_array().unwrap();
        assert_eq!(endpoints.len(), 7, "{endpoints:?}");
        for endpoint in endpoints {
            let users = endpoint["users"].as_array().unwrap();
            // Names and passwords only where nobody can read along.
            let open = endpoint["policy"] == "None";
            assert_eq!(users.contains(&json!("UserName")), !open, "{endpoint}");
            assert!(users.contains(&json!("Anonymous")), "{endpoint}");
        }
        request["do"] = json!("find_servers");
        let servers = peer.get(request);
        assert_eq!(servers.as_array().unwrap().len(), 1, "{servers}");
    }
}

#[test]
fn each_client_is_refused_what_it_may_not_do() {
    let machine = Spoken::start();
    let stage = Stage::new(&with_user(None)).machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    machine.say("|xpos|1.5\n");
    for mut peer in Peer::all(stage.folder.path()) {
        let secure = Some((POLICIES[0], "SignAndEncrypt"));
        peer.login(&stage, secure, json!({})).expect_err("not trusted yet");
        stage.trust();
        let refused = |peer: &mut Peer, secure, login: Value, statuses: &[&str]| {
            let why = peer.login(&stage, secure, login.clone()).expect_err("refused");
            assert!(statuses.iter().any(|status| why.contains(status)), "{}, {login}: {why}", peer.name);
        };
        let wrong = ["BadUserAccessDenied", "BadIdentityTokenRejected"];
        refused(&mut peer, secure, by_password(USER, "wrong"), &wrong);
        refused(&mut peer, secure, by_password("nobody", PASSWORD), &wrong);
        refused(&mut peer, secure, by_password(USER, ""), &wrong);
        // Over the endpoint without security no password is even sent, or it is refused.
        let none =
            ["BadIdentityToken", "BadUserAccessDenied", "Cannot find", "username", "UserName", "policy"];
        refused(&mut peer, None, by_password(USER, PASSWORD), &none);

        peer.login(&stage, secure, by_password(USER, PASSWORD)).unwrap();
        let name = peer.name;
        let write =
            peer.ask(json!({"do": "write", "node": node("xpos"), "value": 2.5})).expect_err("read only");
        assert!(["BadNotWritable", "BadUserAccessDenied"].contains(&write.as_str()), "{name}: {write}");
        let call = json!({"do": "call", "node": "i=2253", "method": "i=12886"});
        let call = peer.ask(call).expect_err("no such method");
        assert!(call.starts_with("Bad"), "{name}: {call}");
        let value = peer.get(json!({"do": "value", "node": node("xpos")}));
        assert_eq!(value["value"], 1.5, "{name}: nothing was written");
        let unknown = peer.get(json!({"do": "exists", "node": node("nothing")}));
        assert_eq!(unknown, false, "{name}");
        peer.leave();
    }
}
