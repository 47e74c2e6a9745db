//! Where profiles are found: those that ship are part of the program; a file of the same id takes their place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::reading::{MAX_BYTES, Source, suggest};

/// A profile that is part of the program.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its id.
    pub id: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! ship {
    ($($id:literal),* $(,)?) => {
        &[$(Shipped { id: $id, text: include_str!(concat!("../../device-profiles/", $id, ".toml")) }),*]
    };
}

/// The profiles that ship, by id.
pub fn shipped() -> &'static [Shipped] {
    SHIPPED
}

static SHIPPED: &[Shipped] = ship![
    "abb-robot-opcua",
    "beckhoff-twincat-cell",
    "eastron-sdm630",
    "fanuc-dprnt-probe",
    "fanuc-focas",
    "fanuc-opcua",
    "fanuc-shdr",
    "haas-ngc-mill",
    "io-link-master-mqtt",
    "mazak-mtconnect",
    "mazak-smooth-shdr",
    "mitsubishi-iq-r-cell",
    "okuma-mtconnect",
    "okuma-osp-shdr",
    "rockwell-logix-cell",
    "siemens-840d-sl-opcua",
    "siemens-s7-1500-cell",
    "universal-robots-modbus",
    "witmotion-wtvb01",
];

/// The folders in which profiles are looked for before those that ship.
#[derive(Clone, Debug, Default)]
pub struct Library {
    folders: Vec<PathBuf>,
}

/// Why there is no such profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub cure: String,
}

impl Library {
    /// Looks in these folders, in order, then among those that ship.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// The profile that is called `name`: `id`, `id@major`, or the path of a file.
    ///
    /// # Errors
    /// That there is none, or not of that major version.
    pub fn find(&self, name: &str, base: &Path) -> Result<Arc<Source>, NotFound> {
        let (id, major) = match name.split_once('@') {
            Some((id, major)) => (id, Some(major)),
            None => (name, None),
        };
        let source = if id.ends_with(".toml") || id.contains(['/', '\\']) {
            file(&base.join(id))?
        } else {
            self.by_id(id)?
        };
        if let Some(major) = major {
            let version = version_of(source.text());
            if version.split('.').next() != Some(major.trim_start_matches('v')) {
                return Err(NotFound {
                    what: format!("the profile `{id}` is of version {version}, not {major}"),
                    cure: "look what has changed, then write its major version".to_owned(),
                });
            }
        }
        Ok(source)
    }

    fn by_id(&self, id: &str) -> Result<Arc<Source>, NotFound> {
        let candidates = self.folders.iter().map(|folder| folder.join(format!("{id}.toml")));
        if let Some(path) = candidates.into_iter().find(|path| path.is_file()) {
            return file(&path);
        }
        if let Some(shipped) = SHIPPED.iter().find(|shipped| shipped.id == id) {
            let path = format!("device-profiles/{id}.toml");
            return Ok(Arc::new(Source::new(path, shipped.text)));
        }
        let known = SHIPPED.iter().map(|shipped| shipped.id);
        let cure = match suggest::nearest(id, known) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "`guideway profiles` lists those that ship; a file is named by its path".to_owned(),
        };
        Err(NotFound { what: format!("there is no profile `{id}`"), cure })
    }
}

fn file(path: &Path) -> Result<Arc<Source>, NotFound> {
    let shown = path.display();
    let cannot =
        |what: String| NotFound { what, cure: "`guideway profiles` lists those that ship".to_owned() };
    let length =
        std::fs::metadata(path).map_err(|error| cannot(format!("cannot read `{shown}`: {error}")))?.len();
    if length > MAX_BYTES {
        return Err(cannot(format!("`{shown}` has {length} bytes, more than any profile")));
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Arc::new(Source::new(path, text))),
        Err(error) => Err(cannot(format!("cannot read `{shown}`: {error}"))),
    }
}

/// The version that a text says; `?` when it says none. What else is wrong with it is told when it is read.
fn version_of(text: &str) -> String {
    let line =
        text.lines().find_map(|line| line.trim().strip_prefix("version")?.trim_start().strip_prefix('='));
    line.map_or("?", |value| value.trim().trim_matches(['"', '\'']))
        .split(['"', '\''])
        .next()
        .unwrap_or("?")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_in_the_folder_ships() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        there.sort();
        let ships: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.id).collect();
        assert_eq!(ships, there);
    }

    #[test]
    fn a_profile_of_another_major_version_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.toml"), "id = \"a\"\nversion = \"2.1.0\" # new\n").unwrap();
        let library = Library::new(vec![folder.path().to_owned()]);
        assert!(library.find("a@2", Path::new("")).is_ok());
        assert!(library.find("a", Path::new("")).is_ok());
        assert!(library.find("a@1", Path::new("")).unwrap_err().what.contains("of version 2.1.0"));
        assert!(library.find("b", Path::new("")).unwrap_err().what.contains("no profile `b`"));
        assert!(library.find("./a.toml", folder.path()).is_ok());
    }
}
