//! The house is kept: floors use only those below them, faces do not know each other, adapters know
//! only the contract, files are about one thing, and nothing unfinished or of somebody's own machine
//! is left lying about. Each rule is a function of texts, so that it is tested with planted faults.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/rust_paths.rs"]
mod rust_paths;

/// A file by its path below the project's root, with `/` between the parts.
struct File {
    path: String,
    text: String,
}

/// A file of more lines is about more than one thing.
const MOST_LINES: usize = 800;

/// Modules that lower floors may use although they are higher: how options write durations and sizes.
const EXCEPTIONS: [[&str; 2]; 2] = [["config", "duration"], ["config", "size"]];

/// The adapters that may use another one: SHDR in messages of MQTT is SHDR, and read by its own codec.
const NEIGHBOURS: [[&str; 2]; 1] = [["mqtt", "guideway-shdr"]];

#[test]
fn floors_use_only_those_below_them() {
    report(&broken_floors(&files()));
}

#[test]
fn faces_do_not_use_each_other() {
    report(&meddling_faces(&files()));
}

#[test]
fn adapters_depend_on_the_contract_only() {
    report(&meddling_adapters(&files()));
}

#[test]
fn files_are_short_and_about_one_noun() {
    report(&large_files(&files()));
}

#[test]
fn nothing_is_left_unfinished() {
    report(&unfinished(&files()));
}

#[test]
fn no_text_names_a_folder_of_the_machine_it_was_written_on() {
    report(&machine_paths(&files(), &own_folders(Path::new(env!("CARGO_MANIFEST_DIR")))));
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The floors of the agent, lowest first: the order in which `src/lib.rs` names them.
fn floors(files: &[File]) -> Vec<String> {
    let lib = files.iter().find(|file| file.path == "src/lib.rs");
    let lines = lib.map(|file| file.text.lines()).into_iter().flatten();
    let floors = lines.filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    floors.map(str::to_owned).collect()
}

fn broken_floors(files: &[File]) -> Vec<String> {
    let floors = floors(files);
    let height = |floor: &str| floors.iter().position(|other| other == floor);
    let mut faults = Vec::new();
    for (file, module, named) in named(files) {
        let Some(own) = module.first().and_then(|floor| height(floor)) else { continue };
        let Some(used) = named.path.first().and_then(|floor| height(floor)) else { continue };
        let exempt = EXCEPTIONS
            .iter()
            .any(|exception| named.path.len() >= 2 && exception.iter().zip(&named.path).all(|(a, b)| a == b));
        if used > own && !exempt {
            faults.push(format!(
                "{}:{}: `{}` is higher than `{}`; a floor uses only those below it",
                file.path, named.line, floors[used], floors[own]
            ));
        }
    }
    if floors.len() < 2 {
        faults.push("src/lib.rs: the floors are not there as `pub mod name;` lines".to_owned());
    }
    faults
}

fn meddling_faces(files: &[File]) -> Vec<String> {
    let face = |path: &[String]| match path {
        [floor, face, ..] if floor == "northbound" => Some(face.clone()),
        _ => None,
    };
    let is_face = |name: &str| {
        let folder = format!("src/northbound/{name}");
        files
            .iter()
            .any(|file| file.path.starts_with(&format!("{folder}/")) || file.path == format!("{folder}.rs"))
    };
    let mut faults = Vec::new();
    for (file, module, named) in named(files) {
        let (Some(own), Some(used)) = (face(&module), face(&named.path)) else { continue };
        if own != used && is_face(&used) {
            let line = named.line;
            faults.push(format!("{}:{line}: the face `{own}` uses the face `{used}`", file.path));
        }
    }
    faults
}

/// Every path that the agent's files name, with the file and its module.
fn named(files: &[File]) -> Vec<(&File, Vec<String>, rust_paths::Named)> {
    let mut all = Vec::new();
    for file in files {
        let Some(below) = file.path.strip_prefix("src/").filter(|below| below.ends_with(".rs")) else {
            continue;
        };
        let module = rust_paths::module_of(below);
        for named in rust_paths::paths(&module, &file.text) {
            all.push((file, module.clone(), named));
        }
    }
    all
}

fn meddling_adapters(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        let Some(name) =
            file.path.strip_prefix("adapters/").and_then(|path| path.strip_suffix("/Cargo.toml"))
        else {
            continue;
        };
        let Ok(manifest) = file.text.parse::<toml::Table>() else {
            faults.push(format!("{}: not TOML", file.path));
            continue;
        };
        let mut targets = vec![&manifest];
        if let Some(toml::Value::Table(target)) = manifest.get("target") {
            targets.extend(target.values().filter_map(toml::Value::as_table));
        }
        for table in targets {
            for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let Some(toml::Value::Table(dependencies)) = table.get(kind) else { continue };
                for (key, value) in dependencies {
                    let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                    let ours = package == "guideway" || package.starts_with("guideway-");
                    let neighbour = kind == "dependencies" && NEIGHBOURS.contains(&[name, package]);
                    let allowed = name != "contract" && package == "guideway-contract" || neighbour;
                    if ours && !allowed {
                        let path = &file.path;
                        faults.push(format!(
                            "{path}: `{package}` in [{kind}]: an adapter knows only the contract"
                        ));
                    }
                }
            }
        }
    }
    faults
}

fn large_files(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for File { path, text } in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let lines = text.lines().count();
        if lines > MOST_LINES {
            faults.push(format!("{path}: {lines} lines; split it at {MOST_LINES}"));
        }
        let mut parts = path.trim_end_matches(".rs").split('/');
        if let Some(part) = parts.find(|part| matches!(*part, "util" | "utils" | "helpers" | "misc")) {
            faults.push(format!("{path}: `{part}` says nothing; call it by the noun it is about"));
        }
    }
    faults
}

fn unfinished(files: &[File]) -> Vec<String> {
    let marks = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("];
    let mut faults = Vec::new();
    for File { path, text } in files {
        let source = path.ends_with(".rs") && path.split('/').any(|part| part == "src");
        for (number, line) in text.lines().enumerate().filter(|_| source) {
            if let Some(mark) = marks.iter().find(|mark| line.contains(**mark)) {
                faults.push(format!("{path}:{}: `{mark}`: finish it, or write an issue", number + 1));
            }
        }
    }
    faults
}

/// The folder of this checkout and those around it that are no folders of every system.
fn own_folders(root: &Path) -> Vec<String> {
    const EVERYWHERE: [&str; 12] =
        ["bin", "etc", "home", "lib", "media", "mnt", "opt", "run", "srv", "tmp", "usr", "var"];
    let everywhere = |path: &Path| {
        path.parent().is_none()
            || EVERYWHERE.iter().any(|name| path.strip_prefix("/").is_ok_and(|path| path == Path::new(name)))
    };
    let folders = root.ancestors().filter(|path| !everywhere(path));
    folders.map(|path| format!("{}/", path.display())).collect()
}

fn machine_paths(files: &[File], own: &[String]) -> Vec<String> {
    let homes = ["/home/", "/root/", "/Users/", "C:\\Users\\"];
    let mut faults = Vec::new();
    for File { path, text } in files.iter().filter(|file| file.path != "tests/tidy.rs") {
        for (number, line) in text.lines().enumerate() {
            let mut folders = homes.iter().copied().chain(own.iter().map(String::as_str));
            let begins = |folder: &&str| {
                line.match_indices(*folder).any(|(at, _)| {
                    // `src/work/` or `https://x/home/` is no folder of a machine.
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-/}*".contains(c))
                })
            };
            if let Some(folder) = folders.find(begins) {
                faults.push(format!("{path}:{}: `{folder}` is a folder of one machine", number + 1));
            }
        }
    }
    faults
}

/// Every text file of the project.
fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root.join(&folder)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let path = folder.join(&name);
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                // What is built or fetched is not ours.
                let skip = ["target", ".git", ".venv", "node_modules", "guideway-data", "corpus"];
                if !skip.iter().any(|skip| name == *skip) {
                    folders.push(path);
                }
            } else if kind.is_file() && name != "Cargo.lock" && name != ".git" {
                let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
                let path = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
                files.push(File { path: path.collect::<Vec<_>>().join("/"), text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the project is not where it should be");
    files
}

mod planted {
    use super::*;

    const LIB: &str = "pub mod device_model;\npub mod journal;\n\npub mod northbound;\npub mod config;\n";

    fn planted(files: &[(&str, &str)]) -> Vec<File> {
        let lib = [("src/lib.rs", LIB)];
        let files = lib.iter().chain(files);
        files.map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() }).collect()
    }

    #[test]
    fn a_lower_floor_that_uses_a_higher_one_is_caught() {
        let text = "use crate::device_model::X;\nuse crate::config::{duration, Configuration};\n";
        let faults = broken_floors(&planted(&[("src/journal/ring.rs", text)]));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("src/journal/ring.rs:2: `config` is higher than `journal`"));
        let text = "mod tests { fn f() { super::super::super::journal::g() } }";
        assert_eq!(broken_floors(&planted(&[("src/device_model/source.rs", text)])).len(), 1);
    }

    #[test]
    fn what_is_allowed_is_not_caught() {
        let text = "//! See crate::config.\nuse crate::config::duration;\nuse crate::config::size::parse;\n\
                    use super::super::device_model;\nconst S: &str = \"crate::config::X\";\n";
        assert_eq!(broken_floors(&planted(&[("src/journal/options.rs", text)])), [""; 0]);
        assert_eq!(broken_floors(&planted(&[("src/main.rs", "use crate::config::X;")])), [""; 0]);
    }

    #[test]
    fn a_face_that_uses_a_face_is_caught() {
        let files = [
            (
                "src/northbound/mqtt/mod.rs",
                "use super::mtconnect::X;\nuse super::shared::Y;\nuse crate::northbound::mqtt::Z;",
            ),
            ("src/northbound/mtconnect/mod.rs", "use crate::northbound::mqtt;"),
            ("src/config/x.rs", "use crate::northbound::{mqtt, mtconnect};"),
        ];
        let faults = meddling_faces(&planted(&files));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("mqtt/mod.rs:1") && faults[1].contains("mtconnect/mod.rs:1"));
    }

    #[test]
    fn an_adapter_that_knows_another_one_or_the_agent_is_caught() {
        let manifest = "[dependencies]\nguideway-contract.workspace = true\ntokio = \"1\"\nguideway-shdr = { path = \"../shdr\" }\n\
                        [dev-dependencies]\nx = { package = \"guideway\", path = \"../..\" }\n";
        let faults = meddling_adapters(&planted(&[("adapters/modbus/Cargo.toml", manifest)]));
        assert_eq!(faults.len(), 2, "{faults:?}");
        let manifest = "[target.'cfg(unix)'.dependencies]\nguideway-shdr.workspace = true\n";
        assert_eq!(meddling_adapters(&planted(&[("adapters/modbus/Cargo.toml", manifest)])).len(), 1);
        let manifest = "[dependencies]\nguideway-shdr.workspace = true\n";
        assert_eq!(meddling_adapters(&planted(&[("adapters/contract/Cargo.toml", manifest)])).len(), 1);
        assert_eq!(meddling_adapters(&planted(&[("adapters/mqtt/Cargo.toml", manifest)])), [""; 0]);
        let manifest = "[dependencies]\nguideway-modbus.workspace = true\n\
                        [dev-dependencies]\nguideway-shdr.workspace = true\n";
        assert_eq!(meddling_adapters(&planted(&[("adapters/mqtt/Cargo.toml", manifest)])).len(), 2);
        let manifest = "[dependencies]\nopcua-server.workspace = true\nguideway-opcua.workspace = true\n";
        assert_eq!(meddling_adapters(&planted(&[("adapters/simulator/Cargo.toml", manifest)])).len(), 1);
    }

    #[test]
    fn a_long_file_and_a_file_about_nothing_are_caught() {
        let long = "\n".repeat(MOST_LINES + 1);
        let files = [("src/journal/utils.rs", ""), ("tests/long.rs", long.as_str()), ("docs/utils.md", "")];
        assert_eq!(large_files(&planted(&files)).len(), 2);
        let fits = "\n".repeat(MOST_LINES);
        assert_eq!(large_files(&planted(&[("src/fits.rs", &fits)])), [""; 0]);
    }

    #[test]
    fn unfinished_work_is_caught() {
        let files = [
            ("adapters/shdr/src/codec.rs", "fn f() {\n    todo!()\n}\n// FIXME later"),
            ("docs/x.md", "TODO"),
        ];
        let faults = unfinished(&planted(&files));
        assert_eq!(faults.len(), 2);
        assert!(faults[0].starts_with("adapters/shdr/src/codec.rs:2: `todo!(`"));
    }

    #[test]
    fn a_folder_of_one_machine_is_caught() {
        let own = own_folders(Path::new("/build/agents/guideway"));
        assert_eq!(own, ["/build/agents/guideway/", "/build/agents/", "/build/"]);
        assert_eq!(own_folders(Path::new("/tmp/guideway")), ["/tmp/guideway/"]);
        let files = [
            ("docs/a.md", "see /build/agents/notes\nor `/home/me/x`"),
            ("docs/b.md", "src/build/x and https://example.com/home/x and /etc/guideway"),
        ];
        let faults = machine_paths(&planted(&files), &own);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[1].starts_with("docs/a.md:2"));
    }
}
