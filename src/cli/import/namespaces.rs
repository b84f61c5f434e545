//! The namespace that Kustomize gives to the objects of a folder.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::kustomization::{self, AnyKustomization};

/// The kustomizations of a folder and of those in it, as far as they were asked for.
#[derive(Debug)]
pub(crate) struct Namespaces<'a> {
    root: &'a Path,
    known: HashMap<PathBuf, AnyKustomization>,
}

impl<'a> Namespaces<'a> {
    /// Those below a folder.
    pub(crate) fn below(root: &'a Path) -> Self {
        Self { root, known: HashMap::new() }
    }

    /// The namespace that Kustomize gives to the objects of a file, whatever they say. An outer kustomization overrides
    /// an inner one, as far as its resources lead to the file.
    pub(crate) fn of(&mut self, file: &Path) -> Option<String> {
        let (mut resource, mut namespace) = (file, None);
        for folder in file.ancestors().skip(1).take_while(|folder| folder.starts_with(self.root)) {
            let found = self.known.entry(folder.to_owned()).or_insert_with(|| kustomization::any_of(folder));
            if found.resources.iter().any(|listed| folder.join(listed) == resource) {
                namespace = found.namespace.clone().filter(|name| !name.is_empty()).or(namespace);
                resource = folder;
            }
        }
        namespace
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_outermost_list_of_a_file_names_its_namespace() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("kustomization.yaml", "namespace: outer\nresources: [./a.yaml, north/, south/d.yaml]\n");
        write("north/kustomization.yml", "namespace: inner\nresources: [b.yaml]\n");
        write("south/kustomization.yaml", "namespace: south\nresources: [c.yaml]\n");
        write("plain/Kustomization", "resources: [e.yaml]\n");
        let mut namespaces = Namespaces::below(root.path());
        let mut of = |file: &str| namespaces.of(&root.path().join(file));
        for file in ["a.yaml", "north/b.yaml", "south/d.yaml"] {
            assert_eq!(of(file).as_deref(), Some("outer"), "{file}");
        }
        assert_eq!(of("south/c.yaml").as_deref(), Some("south"));
        for file in ["z.yaml", "north/z.yaml", "plain/e.yaml"] {
            assert_eq!(of(file), None, "{file}");
        }
        // What is above the folder of the import is not read.
        let north = root.path().join("north");
        assert_eq!(Namespaces::below(&north).of(&north.join("b.yaml")).as_deref(), Some("inner"));
    }
}
