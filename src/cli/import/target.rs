//! Where the manifests go.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::cli::manifests::STANDARD_INPUT;

/// Where the manifests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Into a folder, one object a file.
    Folder(PathBuf),
    /// Into one file.
    File(PathBuf),
    /// To standard output.
    StandardOutput,
}

impl Target {
    /// What a path means. A path that does not exist is a file if it ends like one, and a folder otherwise.
    ///
    /// # Errors
    /// It is neither a folder nor a file with YAML.
    pub(crate) fn of(path: &Path) -> Result<Self, String> {
        let ending = path.extension().and_then(OsStr::to_str);
        let is_folder_name = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if path.as_os_str() == STANDARD_INPUT {
            Ok(Self::StandardOutput)
        } else if path.is_dir() || is_folder_name {
            Ok(Self::Folder(path.to_owned()))
        } else if matches!(ending, Some("yaml" | "yml")) {
            // A link stays one: the file that it leads to is written.
            Ok(Self::File(path.canonicalize().unwrap_or_else(|_| path.to_owned())))
        } else if path.exists() || ending == Some("json") {
            Err("name a folder, a file ending in .yaml, or - for standard output".to_owned())
        } else {
            Ok(Self::Folder(path.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_path_means_a_folder_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("odd.yaml")).unwrap();
        fs::write(path("notes.txt"), "").unwrap();
        assert_eq!(Target::of(Path::new("-")), Ok(Target::StandardOutput));
        assert_eq!(Target::of(&path("odd.yaml")), Ok(Target::Folder(path("odd.yaml"))));
        assert_eq!(Target::of(&path("tenants")), Ok(Target::Folder(path("tenants"))));
        assert_eq!(Target::of(&path("v1.yaml/")), Ok(Target::Folder(path("v1.yaml/"))));
        assert_eq!(Target::of(&path("tenants.yaml")), Ok(Target::File(path("tenants.yaml"))));
        assert!(Target::of(&path("notes.txt")).is_err());
        assert!(Target::of(&path("tenants.json")).is_err());
    }
}
