//! Entries of the user, and what is wrong with some.

use super::*;

fn own(name: &str, change: impl FnOnce(&mut OwnModel)) -> OwnModel {
    let mut entry = OwnModel {
        name: name.to_owned(),
        architecture: "turbo".to_owned(),
        repository: Some("me/voice".to_owned()),
        ..OwnModel::default()
    };
    change(&mut entry);
    entry
}

fn refusal(entry: OwnModel) -> String {
    Registry::new(&[entry]).unwrap_err().to_string()
}

fn candidates(model: &Model, role: Role) -> Vec<(&str, &str)> {
    let wanted = model.files.iter().find(|wanted| wanted.role == role).unwrap();
    wanted.candidates.iter().map(|found| (found.repository.as_str(), found.name.as_str())).collect()
}

#[test]
fn every_published_model_has_each_required_role_once_with_sound_names_and_hashes() {
    let registry = Registry::new(&[]).unwrap();
    for model in registry.models() {
        assert!(is_name(&model.name), "{}", model.name);
        assert_eq!(
            model.languages.is_empty(),
            model.architecture == Architecture::Watermark,
            "{}",
            model.name
        );
        assert!(!model.purpose.is_empty());
        for role in model.architecture.roles() {
            let count = model.files.iter().filter(|wanted| wanted.role == *role).count();
            let may_lack = !role.is_required() || *role == Role::Config;
            assert!(count == 1 || (count == 0 && may_lack), "{}: {role}", model.name);
        }
        let mut names: Vec<&str> = Vec::new();
        for candidate in model.files.iter().flat_map(|wanted| &wanted.candidates) {
            let repository = candidate.repository.trim_start_matches(GITHUB);
            assert_eq!(checked_repository(repository).as_deref(), Ok(repository));
            let revision = &candidate.revision;
            let is_commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit || revision == "main", "{revision}");
            if let Some(sha256) = &candidate.sha256 {
                assert!(sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
                assert!(is_commit, "a hash of {} without a commit cannot stay true", candidate.name);
            }
            names.push(candidate.file());
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{}: two files of one name", model.name);
    }
}

#[test]
fn the_published_models_are_those_of_the_family() {
    let registry = Registry::new(&[]).unwrap();
    let names: Vec<&str> = registry.models().iter().map(|model| model.name.as_str()).collect();
    let first = ["nano", "turbo", "original", "multilingual-v3", "multilingual-v2"];
    assert_eq!(names[..5], first);
    assert_eq!(names.len(), 12, "{names:?}");
    let turbo = registry.find("turbo").unwrap();
    assert_eq!(turbo.size(), Some(2_987_680_126));
    assert_eq!(turbo.licence.as_deref(), Some("MIT"));
    // 4 bytes for each of T3's 478 862 755 parameters, and a header.
    let t3 = turbo.files[0].candidates[0].size.unwrap();
    assert!((4 * 478_862_755..4 * 478_862_755 + 100_000).contains(&t3));
}

#[test]
fn safetensors_stand_before_pickles() {
    let registry = Registry::new(&[]).unwrap();
    for wanted in registry.models().iter().flat_map(|model| &model.files) {
        let is_pickle = |candidate: &Candidate| {
            candidate.name.split_once('.').is_some_and(|(_, extension)| extension == "pt")
        };
        let first_pickle = wanted.candidates.iter().position(is_pickle).unwrap_or(usize::MAX);
        let last_data = wanted.candidates.iter().rposition(|candidate| !is_pickle(candidate));
        assert!(last_data.is_none_or(|last| last < first_pickle), "{wanted:?}");
    }
}

#[test]
fn a_model_is_found_by_its_name_in_any_case_by_repository_and_by_upstreams_selectors() {
    let registry = Registry::new(&[own("mine", |_| {})]).unwrap();
    for (wanted, name) in [
        ("turbo", "turbo"),
        ("Turbo", "turbo"),
        ("chatterbox-turbo", "turbo"),
        ("ResembleAI/chatterbox-turbo", "turbo"),
        ("chatterbox", "original"),
        ("ResembleAI/chatterbox", "original"),
        ("original", "original"),
        ("chatterbox-multilingual", "multilingual-v3"),
        ("multilingual", "multilingual-v3"),
        ("ResembleAI/Chatterbox-Multilingual-pt-br", "multilingual-pt-br"),
        ("me/voice", "mine"),
        (" mine ", "mine"),
    ] {
        assert_eq!(registry.find(wanted).unwrap().name, name, "{wanted}");
    }
    let error = registry.find("tubro").unwrap_err().to_string();
    assert!(error.starts_with("there is no model \"tubro\"; the models are nano, turbo,"), "{error}");
}

#[test]
fn a_fine_tune_takes_what_it_names_and_borrows_what_it_lacks() {
    let entry = own("mine", |entry| {
        entry.files.insert("t3".to_owned(), "weights/best.safetensors".to_owned());
        entry.languages = vec!["de".to_owned()];
    });
    let registry = Registry::new(&[entry]).unwrap();
    let model = registry.find("mine").unwrap();
    assert_eq!(candidates(model, Role::T3), [("me/voice", "weights/best.safetensors")]);
    assert_eq!(model.files[0].candidates[0].file(), "best.safetensors");
    assert_eq!(
        candidates(model, Role::Vocab),
        [("me/voice", "vocab.json"), ("ResembleAI/chatterbox-turbo", "vocab.json")]
    );
    assert_eq!(model.languages, ["de"]);
    assert_eq!(model.size(), None, "nobody knows yet");
}

#[test]
fn a_named_file_is_never_replaced_by_the_published_one() {
    let entry = own("mine", |entry| {
        entry.files.insert("vocab".to_owned(), "my_vocab.json".to_owned());
    });
    let registry = Registry::new(&[entry]).unwrap();
    assert_eq!(candidates(registry.find("mine").unwrap(), Role::Vocab), [("me/voice", "my_vocab.json")]);
}

#[test]
fn an_entry_that_cannot_be_meant_so_is_refused_with_what_is_wrong() {
    let folder = |path: &str| {
        let path = PathBuf::from(path);
        own("mine", |entry| (entry.repository, entry.folder) = (None, Some(path)))
    };
    for (entry, expected) in [
        (own("My Voice", |_| {}), "name: use lower-case letters"),
        (own("../mine", |_| {}), "name: use lower-case letters"),
        (own("turbo", |_| {}), "name: there is a model of this name already"),
        (own("pico", |_| {}), "name: there is a model of this name already"),
        (own("mine", |entry| entry.architecture = "turbot".to_owned()), "did you mean \"turbo\"?"),
        (own("mine", |entry| entry.repository = None), "say either repository"),
        (own("mine", |entry| entry.folder = Some("/x".into())), "say either repository"),
        (own("mine", |entry| entry.repository = Some("voice".into())), "not of the form owner/name"),
        (own("mine", |entry| entry.repository = Some("../voice".into())), "not of the form owner/name"),
        (folder("models/mine"), "folder: give the whole path"),
        (
            own("mine", |entry| _ = entry.files.insert("t4".into(), "a".into())),
            "files: \"t4\" is no part of a model; did you mean \"t3\"?",
        ),
        (
            own("mine", |entry| _ = entry.files.insert("cangjie".into(), "a".into())),
            "files: a turbo model has no cangjie",
        ),
        (
            own("mine", |entry| _ = entry.files.insert("t3".into(), "../a".into())),
            "is no path inside the repository or folder",
        ),
        (own("mine", |entry| entry.languages = vec!["German".into()]), "is no language code"),
    ] {
        let error = refusal(entry);
        assert!(error.starts_with("models: number 1 (") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_file_of_changed_sizes_is_wanted_only_where_it_is_named() {
    let roles = |files: &[(&str, &str)]| {
        let files = files.iter().map(|&(role, file)| (role.to_owned(), file.to_owned())).collect();
        let entry = OwnModel {
            name: "mine".to_owned(),
            architecture: "turbo".to_owned(),
            repository: Some("me/mine".to_owned()),
            files,
            ..OwnModel::default()
        };
        let registry = Registry::new(&[entry]).unwrap();
        registry.find("mine").unwrap().files.iter().map(|wanted| wanted.role).collect::<Vec<_>>()
    };
    assert!(!roles(&[]).contains(&Role::Config), "a config.json may belong to another program");
    assert!(roles(&[("config", "sizes.json")]).contains(&Role::Config));
}
