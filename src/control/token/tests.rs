//! Forged tokens, and those of a foreign signer.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::control::claims::Claims;
use crate::control::key;
use crate::control::options::RequesterOptions;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp::from_nanos(1_800_000_000_000_000_000, 6);

/// A gateway `cell-7` with a requester for each kind of key.
struct Stage {
    folder: tempfile::TempDir,
    tokens: Tokens,
    ed: SigningKey,
    ed_public: String,
    ec: SigningKey,
    ec_private: String,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ed = SigningKey::pem(key::new_ed25519().unwrap().as_bytes()).unwrap();
        let ec_private =
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
        let ec = SigningKey::pem(ec_private.as_bytes()).unwrap();
        let named = |name: &str| RequesterOptions { name: name.into(), ..RequesterOptions::default() };
        let file = |name: &str, key: &SigningKey| {
            let path = folder.path().join(name);
            std::fs::write(&path, key.public().unwrap()).unwrap();
            RequesterOptions { public_key: Some(path), ..named(name) }
        };
        let scheduler = RequesterOptions {
            roles: vec!["scheduling".into()],
            secret: Some(SECRET.into()),
            ..named("scheduler")
        };
        let requester = vec![scheduler, file("router", &ed), file("planner", &ec), named("anna")];
        let options = Options { requester, ..Options::default() };
        let tokens = Tokens::new("cell-7", &options).unwrap();
        let ed_public = ed.public().unwrap();
        Self { folder, tokens, ed, ed_public, ec, ec_private }
    }

    fn refused(&self, signed: &[u8]) -> Refused {
        self.tokens.open_at(signed, NOW).expect_err("it is not to be taken")
    }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn claims(iss: &str) -> Json {
    json!({
        "iss": iss, "aud": "cell-7", "jti": "a-1", "exp": 1_800_000_060.5, "iat": 1_800_000_000,
        "device": "Mill-1", "command": "set_job", "args": { "value": 12 }, "dry_run": true,
    })
}

/// Signs any header and any payload.
fn raw(header: &str, payload: impl AsRef<[u8]>, key: &SigningKey) -> String {
    let message = format!("{}.{}", base64(header), base64(payload));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key.key, key.algorithm).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn a_request_is_opened_by_the_key_of_its_requester_whatever_its_kind() {
    let stage = Stage::new();
    let secret = SigningKey::secret(SECRET).unwrap();
    for (name, key) in [("scheduler", &secret), ("router", &stage.ed), ("planner", &stage.ec)] {
        let signed = sign(key, &claims(name)).unwrap();
        let opened = stage.tokens.open_at(format!("\n{signed}\r\n").as_bytes(), NOW).unwrap();
        assert_eq!((opened.id.as_str(), opened.requester.as_str()), ("a-1", name));
        assert_eq!((opened.device.as_str(), opened.command.as_str()), ("Mill-1", "set_job"));
        assert_eq!(opened.arguments.get("value"), Some(&json!(12)));
        assert_eq!(opened.expires, NOW.shifted(60_500_000_000));
        assert_eq!(opened.issued, Some(NOW));
        assert!(opened.dry_run);
        assert_eq!(opened.roles.len(), usize::from(name == "scheduler"));
    }
    let late =
        stage.tokens.open_at(sign(&secret, &claims("scheduler")).unwrap().as_bytes(), NOW.shifted(i64::MAX));
    assert!(late.is_ok(), "whether it has expired is for control to say");
}

/// Each is refused; the second says why, for whoever reads the table.
fn forged(stage: &Stage) -> Vec<(String, &'static str, Reason)> {
    let secret = SigningKey::secret(SECRET).unwrap();
    let other = SigningKey::secret("fedcba9876543210fedcba9876543210").unwrap();
    let own = SigningKey::pem(key::new_ed25519().unwrap().as_bytes()).unwrap();
    let good = sign(&secret, &claims("scheduler")).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let said = claims("scheduler").to_string();
    let changed = base64(said.replace("12", "13"));
    // The public key, known to everybody, as the secret of an HMAC.
    let public_as_secret = |public: &str| SigningKey {
        algorithm: jsonwebtoken::Algorithm::HS256,
        key: jsonwebtoken::EncodingKey::from_secret(public.as_bytes()),
    };
    let confused = public_as_secret(&stage.ed_public);
    let empty = public_as_secret("");
    let hs512 = {
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS512);
        jsonwebtoken::encode(&header, &claims("scheduler"), &secret.key).unwrap()
    };
    let jwk = format!(
        "{{\"alg\":\"EdDSA\",\"jwk\":{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{}\"}}}}",
        base64([7; 32])
    );
    let deep = format!("{{\"iss\":\"scheduler\",\"args\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let (unproved, malformed) = (Reason::Unauthenticated, Reason::Malformed);
    let hs256 = "{\"alg\":\"HS256\"}";
    let with = |key: &str, value: Json| {
        let mut claims = claims("scheduler");
        claims[key] = value;
        sign(&secret, &claims).unwrap()
    };
    let twice = |extra: &str| raw(hs256, said.replacen('{', &format!("{{{extra},"), 1), &secret);
    vec![
        (format!("{}.{payload}.", base64("{\"alg\":\"none\"}")), "alg none", unproved),
        (format!("{}.{payload}.{signature}", base64("{\"alg\":\"none\"}")), "alg none, signed", unproved),
        (format!("{}.{payload}.", base64("{\"alg\":\"NoNe\"}")), "alg NoNe", unproved),
        (format!("{}.{payload}.", base64("{\"alg\":\"\"}")), "alg empty", unproved),
        (format!("{}.{payload}.{signature}", base64("{\"typ\":\"JWT\"}")), "no alg", malformed),
        (format!("{}.{payload}.{signature}", base64("{\"alg\":[\"HS256\"]}")), "alg as a list", malformed),
        (raw("{\"alg\":\"HS256\",\"alg\":\"none\"}", &said, &secret), "alg twice", malformed),
        (raw("{\"alg\":\"hs256\"}", &said, &secret), "alg in small letters", unproved),
        (hs512, "another HMAC", unproved),
        (sign(&confused, &claims("router")).unwrap(), "the public key as secret", unproved),
        (
            raw("{\"alg\":\"EdDSA\"}", claims("router").to_string(), &confused),
            "the same, named EdDSA",
            unproved,
        ),
        (sign(&empty, &claims("nobody")).unwrap(), "an empty secret", unproved),
        (sign(&empty, &claims("anna")).unwrap(), "somebody without a key", unproved),
        (sign(&empty, &claims("")).unwrap(), "a name without characters", unproved),
        (sign(&other, &claims("scheduler")).unwrap(), "another secret", unproved),
        (sign(&own, &claims("router")).unwrap(), "another key of the same kind", unproved),
        (raw(&jwk, claims("router").to_string(), &own), "a key that the token brings", unproved),
        (sign(&stage.ec, &claims("router")).unwrap(), "the key of another requester", unproved),
        (sign(&secret, &claims("planner")).unwrap(), "the secret of another requester", unproved),
        (sign(&secret, &claims("Scheduler")).unwrap(), "another name", unproved),
        (with("iss", json!(["scheduler"])), "a list of names", unproved),
        (with("iss", Json::Null), "no name", unproved),
        (format!("{header}.{changed}.{signature}"), "tampered payload", unproved),
        (format!("{}.{payload}.{signature}", base64("{\"alg\":\"HS256\" }")), "tampered header", unproved),
        (format!("{header}.{payload}."), "no signature", unproved),
        (format!("{header}.{payload}.{}", &signature[..signature.len() - 4]), "a cut signature", unproved),
        (format!("{header}.{payload}.{signature}AAAA"), "a longer signature", unproved),
        (good[..good.len() / 2].to_owned(), "cut in the middle", malformed),
        (format!("{header}.{payload}"), "two parts", malformed),
        (format!("{good}.{signature}"), "four parts", malformed),
        (format!("{header}.{payload}={}", &good[header.len() + payload.len() + 1..]), "padded", malformed),
        (good.replace('.', " . "), "spaces between the parts", malformed),
        (format!("..{signature}"), "empty parts", malformed),
        (format!("{{\"payload\":\"{payload}\"}}"), "the JSON form", malformed),
        (String::new(), "nothing", malformed),
        (raw("[]", &said, &secret), "a header that is no object", malformed),
        (raw("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", &said, &secret), "crit", malformed),
        (raw("{\"alg\":\"HS256\",\"b64\":false}", &said, &secret), "b64", malformed),
        (
            raw(&format!("{{\"alg\":\"HS256\",\"kid\":\"{}\"}}", "x".repeat(2_000)), &said, &secret),
            "a long header",
            malformed,
        ),
        (raw(hs256, b"\xff\xfe{}", &secret), "claims that are not UTF-8", malformed),
        (raw(hs256, "[\"scheduler\"]", &secret), "claims that are a list", malformed),
        (raw(hs256, format!("{said} x"), &secret), "claims with something behind", malformed),
        (raw(hs256, deep, &secret), "claims nested deep", malformed),
        (twice("\"dry_run\":false"), "dry_run twice", malformed),
        (twice("\"iss\":\"router\""), "iss twice", malformed),
        (twice("\"\\u0061rgs\":{}"), "args twice, once escaped", malformed),
        (with("args", json!({ "value": 12 })).replace(payload, &base64("{}")), "other claims", unproved),
        (with("dryrun", json!(true)), "unknown claim", malformed),
        (with("scope", json!("admin")), "another unknown claim", malformed),
        (with("aud", json!("cell-8")), "another gateway's", unproved),
        (with("aud", json!(["cell-7", "cell-8"])), "two gateways'", malformed),
        (with("aud", json!("*")), "every gateway's", unproved),
        (with("nbf", json!(1_800_000_001)), "not valid yet", unproved),
        (with("jti", json!("a b")), "an id with a space", malformed),
        (with("exp", json!("never")), "no end", malformed),
    ]
}

#[test]
fn what_is_forged_is_refused() {
    let stage = Stage::new();
    let forged = forged(&stage);
    assert!(forged.len() >= 50);
    for (signed, how, reason) in forged {
        let refused = stage.refused(signed.as_bytes());
        assert_eq!(refused.reason, reason, "{how}: {refused:?}");
        assert!(!refused.detail.is_empty(), "{how}");
    }
    assert!(
        stage
            .tokens
            .open_at(
                sign(&SigningKey::secret(SECRET).unwrap(), &claims("scheduler")).unwrap().as_bytes(),
                NOW
            )
            .is_ok()
    );
}

#[test]
fn what_is_too_long_or_no_text_is_refused() {
    let stage = Stage::new();
    let refused = stage.refused(&vec![b'a'; 1 << 20]);
    assert_eq!((refused.reason, refused.claimed), (Reason::Oversized, Claimed::default()));
    let refused = stage.refused(&vec![b'.'; MOST_BYTES]);
    assert_eq!(refused.reason, Reason::Malformed);
    let mut signed = sign(&SigningKey::secret(SECRET).unwrap(), &claims("scheduler")).unwrap().into_bytes();
    signed[5] = 0xff;
    assert_eq!(stage.refused(&signed).reason, Reason::Malformed);
    let mut long = claims("scheduler");
    long["args"]["note"] = "x".repeat(MOST_BYTES).into();
    assert!(sign(&SigningKey::secret(SECRET).unwrap(), &long).unwrap_err().contains("at most 16384"));
}

#[test]
fn whoever_is_not_known_is_told_the_same_as_whose_signature_does_not_fit() {
    let stage = Stage::new();
    let other = SigningKey::secret("fedcba9876543210fedcba9876543210").unwrap();
    let told: Vec<Refused> = ["scheduler", "router", "anna", "nobody"]
        .iter()
        .map(|name| stage.refused(sign(&other, &claims(name)).unwrap().as_bytes()))
        .collect();
    assert!(
        told.iter().all(|refused| refused.detail == told[0].detail && !refused.detail.contains("scheduler"))
    );
    assert_eq!(told[0].why, "the signature does not fit");
    assert_eq!(told[1].why, "the algorithm is not that of the requester's key");
    assert_eq!(told[2].why, told[3].why);
}

#[test]
fn what_a_refused_request_says_of_itself_is_kept_short_and_printable() {
    let stage = Stage::new();
    let other = SigningKey::secret("fedcba9876543210fedcba9876543210").unwrap();
    let claims = json!({
        "iss": "x".repeat(500), "jti": "a\n\u{1b}[31m\u{202e}b", "device": ["Mill"], "command": "set_job",
    });
    let claimed = stage.refused(sign(&other, &claims).unwrap().as_bytes()).claimed;
    assert_eq!(claimed.requester, "x".repeat(64));
    assert_eq!(claimed.id, "a??[31m?b");
    assert_eq!((claimed.device.as_str(), claimed.command.as_str()), ("", "set_job"));
}

#[test]
fn requesters_are_looked_over_when_the_gateway_starts() {
    let named = |secret: &str| RequesterOptions {
        name: "a".into(),
        secret: Some(secret.into()),
        ..RequesterOptions::default()
    };
    let new = |requester| Tokens::new("g", &Options { requester, ..Options::default() });
    let said = new(vec![named("spindle")]).unwrap_err();
    assert!(
        said.contains("requester \"a\": secret has 7 bytes") && said.contains("guideway control keygen"),
        "{said}"
    );
    assert!(!said.contains("spindle"));
    assert!(
        new(vec![named(SECRET), named("fedcba9876543210fedcba9876543210")]).unwrap_err().contains("twice")
    );
    let both = RequesterOptions { public_key: Some("x.pem".into()), ..named(SECRET) };
    assert!(new(vec![both]).unwrap_err().contains("both"));
    let missing = RequesterOptions { secret: None, public_key: Some("/nowhere/x.pem".into()), ..named("") };
    assert!(new(vec![missing]).unwrap_err().contains("/nowhere/x.pem"));
    assert!(new(Vec::new()).unwrap().is_empty() && !new(vec![named(SECRET)]).unwrap().is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz(&bytes);
    }

    #[test]
    fn no_json_makes_the_reader_panic(
        text in "\\{(\"(iss|aud|jti|exp|args|dry_run|nbf|x)\":(\"\\PC{0,6}\"|[0-9eE.+-]{1,24}|\\{\\}|true|\\[\\]),?){0,5}\\}?",
    ) {
        fuzz(text.as_bytes());
    }

    #[test]
    fn one_changed_byte_is_not_taken(at in 0_usize..1_000, to in any::<u8>()) {
        let mut options = Options::default();
        options.requester.push(RequesterOptions {
            name: "scheduler".into(), secret: Some(SECRET.into()), ..RequesterOptions::default()
        });
        let tokens = Tokens::new("cell-7", &options).unwrap();
        let mut signed = sign(&SigningKey::secret(SECRET).unwrap(), &claims("scheduler")).unwrap().into_bytes();
        let at = at % signed.len();
        let white = (at == 0 || at + 1 == signed.len()) && to.is_ascii_whitespace();
        prop_assume!(signed[at] != to && !white);
        signed[at] = to;
        prop_assert!(tokens.open_at(&signed, NOW).is_err());
    }
}

/// The Python that scripts/test has set up. `None`, said clearly, where it is absent.
#[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
fn python() -> Option<std::path::PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    if python.exists() {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "scripts/test sets up .venv");
    println!("SKIPPED: there is no .venv; scripts/test sets it up");
    None
}

#[test]
fn what_pyjwt_signs_is_opened_and_what_is_signed_here_is_read_by_pyjwt() {
    let Some(python) = python() else { return };
    let stage = Stage::new();
    let ec_path = stage.folder.path().join("ec.pem");
    std::fs::write(&ec_path, &stage.ec_private).unwrap();
    let ed_private = key::new_ed25519().unwrap();
    let ed = SigningKey::pem(ed_private.as_bytes()).unwrap();
    let ed_path = stage.folder.path().join("ed.pem");
    std::fs::write(&ed_path, &ed_private).unwrap();
    let ed_public = stage.folder.path().join("ed-public.pem");
    std::fs::write(&ed_public, ed.public().unwrap()).unwrap();
    let mut options = Options::default();
    let named = |name: &str| RequesterOptions { name: name.into(), ..RequesterOptions::default() };
    options.requester.push(RequesterOptions { secret: Some(SECRET.into()), ..named("scheduler") });
    options.requester.push(RequesterOptions { public_key: Some(ed_public), ..named("router") });
    options
        .requester
        .push(RequesterOptions { public_key: Some(stage.folder.path().join("planner")), ..named("planner") });
    let tokens = Tokens::new("cell-7", &options).unwrap();

    let mut ours = String::new();
    let secret = SigningKey::secret(SECRET).unwrap();
    for (name, key) in [("scheduler", &secret), ("router", &ed), ("planner", &stage.ec)] {
        let mut args = Map::new();
        args.insert("value".into(), json!("ü 12"));
        let exp = Timestamp::now().shifted(60_000_000_000);
        let (device, command) = ("Mill-1", "set_job");
        let claims = Claims { iss: name, aud: "cell-7", jti: "7", exp, device, command, args, dry_run: true };
        writeln!(ours, "{name} {}", sign(key, &claims).unwrap()).unwrap();
    }
    let mut program = Command::new(python);
    program.args(["-c", PYTHON]).arg(&ec_path).arg(&ed_path).arg(SECRET).arg(&ours);
    let output = program.output().unwrap();
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(theirs.lines().count(), 3, "{theirs}");
    for line in theirs.lines() {
        let (name, signed) = line.split_once(' ').unwrap();
        let opened = tokens.open(signed.as_bytes()).unwrap();
        assert_eq!((opened.requester.as_str(), opened.id.as_str()), (name, "p-1"));
        assert_eq!(opened.arguments.get("note"), Some(&json!("größer")));
        assert!(opened.expires > Timestamp::now() && opened.issued.is_some() && !opened.dry_run);
    }
}

/// Reads what is signed here, then signs as anybody would.
const PYTHON: &str = r#"
import datetime, sys, jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key
private = {"planner": ("ES256", load_pem_private_key(open(sys.argv[1], "rb").read(), None)),
           "router": ("EdDSA", load_pem_private_key(open(sys.argv[2], "rb").read(), None))}
secret = sys.argv[3]
for line in sys.argv[4].splitlines():
    name, token = line.split()
    algorithm, key = ("HS256", secret) if name == "scheduler" else (private[name][0], private[name][1].public_key())
    claims = jwt.decode(token, key, algorithms=[algorithm], audience="cell-7", issuer=name,
                        options={"require": ["exp", "iss", "aud", "jti"]})
    assert claims["args"] == {"value": "ü 12"} and claims["dry_run"] is True, claims
now = datetime.datetime.now(datetime.timezone.utc)
for name in ("scheduler", "router", "planner"):
    algorithm, key = ("HS256", secret) if name == "scheduler" else private[name]
    claims = {"iss": name, "aud": "cell-7", "jti": "p-1", "iat": now, "nbf": now - datetime.timedelta(seconds=5),
              "exp": now + datetime.timedelta(seconds=30), "device": "Mill-1", "command": "set_job",
              "args": {"value": 12, "note": "größer"}}
    print(name, jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "1"}))
"#;
