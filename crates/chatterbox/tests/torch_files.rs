//! Checkpoints that torch.save wrote, in each shape in which models are published, against the values that they were given.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use chatterbox::weights::{WeightError, Weights};
use common::{device, fixtures};

fn open(name: &str) -> Result<Weights, WeightError> {
    Weights::open_pickle(&fixtures().join(format!("torch/{name}.pt")), &device())
}

/// `i / 4` for the places `i`.
fn quarters(places: &[usize]) -> Vec<f32> {
    places.iter().map(|place| *place as f32 / 4.0).collect()
}

#[test]
fn a_state_dict_reads_alike_by_itself_and_under_the_wrappers_of_training_scripts() {
    for name in ["state_dict", "model_in_list", "model_with_step"] {
        let weights = open(name).unwrap();
        let scope = weights.root();
        assert_eq!(
            scope.at("layer").values("weight", &[2, 3]).unwrap(),
            quarters(&[0, 1, 2, 3, 4, 5]),
            "{name}"
        );
        assert_eq!(scope.at("layer").values("bias", &[2]).unwrap(), quarters(&[0, 1]));
        assert_eq!(scope.values("halves", &[2, 2]).unwrap(), quarters(&[0, 1, 2, 3]), "f16 is widened");
        assert_eq!(scope.values("brains", &[3]).unwrap(), quarters(&[0, 1, 2]), "bf16 is widened");
        assert_eq!(
            scope.values("turned", &[2, 3]).unwrap(),
            quarters(&[0, 2, 4, 1, 3, 5]),
            "a view is gathered"
        );
        assert_eq!(
            scope.values("part", &[3]).unwrap(),
            quarters(&[4, 5, 6]),
            "a slice starts where it starts"
        );
        // The integer is there, though no network asks for it.
        let count = scope.at("norm").values("num_batches_tracked", &[]).unwrap_err();
        assert!(matches!(&count, WeightError::Type { found, .. } if found == "I64"), "{count}");
        let error = weights.finish(&["norm.running_", "norm.weight"]).unwrap_err();
        assert!(matches!(&error, WeightError::Unknown { names, .. } if names == &["norm.bias"]), "{error}");
    }
}

#[test]
fn a_missing_or_misshapen_tensor_is_named() {
    let weights = open("state_dict").unwrap();
    let missing = weights.root().values("layer.gain", &[2]).unwrap_err().to_string();
    assert!(missing.contains("state_dict.pt: tensor layer.gain is missing"), "{missing}");
    let shape = weights.root().values("layer.weight", &[3, 2]).unwrap_err().to_string();
    assert!(shape.contains("has shape [2, 3], expected [3, 2]"), "{shape}");
}

#[test]
fn a_pickled_object_is_refused_by_its_name() {
    let error = open("whole_module").unwrap_err().to_string();
    assert!(error.contains("whole_module.pt") && error.contains("torch.nn.modules.linear.Linear"), "{error}");
}

#[test]
fn other_files_are_refused_with_what_they_lack() {
    let safetensors = fixtures().join("weights/ve_tiny.safetensors");
    let error = Weights::open_pickle(&safetensors, &device()).unwrap_err().to_string();
    assert!(error.contains("not a zip archive"), "{error}");
    let error = open("no such file").unwrap_err();
    assert!(matches!(error, WeightError::Read { .. }), "{error}");
}
