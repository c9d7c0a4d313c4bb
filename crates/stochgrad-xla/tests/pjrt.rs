//! The client of PJRT plugins, with programs that are written by hand.

use stochgrad_xla::pjrt::testing::plugin_for_test;
use stochgrad_xla::pjrt::{Client, ElementType, Plugin};
use stochgrad_xla::{XlaError, XlaResult};

/// A client with a number of devices, unless there is no plugin.
fn client(test: &str, devices: i64) -> XlaResult<Option<Client>> {
    plugin_for_test(test)?.map(|plugin| plugin.client(&[("cpu_device_count", devices)])).transpose()
}

const AFFINE: &str = "
func.func public @main(%a: tensor<2x3xf32>, %x: tensor<3xf32>, %n: tensor<2xui32>)
    -> (tensor<2xf32>, tensor<2xui32>, tensor<i1>, tensor<3x2xf32>) {
  %y = stablehlo.dot_general %a, %x, contracting_dims = [1] x [0]
     : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2xf32>
  %m = stablehlo.add %n, %n : tensor<2xui32>
  %yes = stablehlo.constant dense<true> : tensor<i1>
  %t = stablehlo.transpose %a, dims = [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %y, %m, %yes, %t : tensor<2xf32>, tensor<2xui32>, tensor<i1>, tensor<3x2xf32>
}";

#[test]
fn a_program_runs_and_its_results_are_read() -> XlaResult<()> {
    let Some(client) = client("a_program_runs_and_its_results_are_read", 1)? else { return Ok(()) };
    assert_eq!((client.platform()?.as_str(), client.devices()), ("cpu", 1));
    let program = client.compile(AFFINE, &[0])?;
    let a = client.upload(0, &[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
    let x = client.upload(0, &[1.0_f32, 0.5, -1.0], &[3])?;
    let n = client.upload(0, &[7_u32, u32::MAX], &[2])?;
    let results = program.run(&[&a, &x, &n])?;
    assert_eq!(results.len(), 4);
    assert_eq!((results[3].shape()?, results[2].element_type()?), (vec![3, 2], ElementType::Bool));
    assert_eq!(results[0].read::<f32>()?, [-1.0, 0.5]);
    assert_eq!(results[1].read::<u32>()?, [14, u32::MAX - 1]);
    assert_eq!(results[2].read::<u8>()?, [1]);
    let mut transposed = [0.0_f32; 6];
    results[3].read_to(&mut transposed)?;
    assert_eq!(transposed, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    Ok(())
}

#[test]
fn tensors_without_elements_are_copied() -> XlaResult<()> {
    let Some(client) = client("tensors_without_elements_are_copied", 1)? else { return Ok(()) };
    let text = "func.func public @main(%x: tensor<0x3xf64>) -> tensor<3xf64> {
      %zero = stablehlo.constant dense<0.0> : tensor<f64>
      %y = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [0]
         : (tensor<0x3xf64>, tensor<f64>) -> tensor<3xf64>
      return %y : tensor<3xf64>
    }";
    let empty = client.upload::<f64>(0, &[], &[0, 3])?;
    assert!(empty.read::<f64>()?.is_empty());
    assert_eq!(client.compile(text, &[0])?.run(&[&empty])?[0].read::<f64>()?, [0.0; 3]);
    Ok(())
}

const ADD_ONE: &str = "
func.func public @main(%x: tensor<4xf32> {tf.aliasing_output = 0 : i32}) -> tensor<4xf32> {
  %one = stablehlo.constant dense<1.0> : tensor<4xf32>
  %y = stablehlo.add %x, %one : tensor<4xf32>
  return %y : tensor<4xf32>
}";

#[test]
fn a_donated_argument_cannot_be_used_again_unless_it_is_kept() -> XlaResult<()> {
    let Some(client) = client("a_donated_argument_cannot_be_used_again_unless_it_is_kept", 1)? else { return Ok(()) };
    let program = client.compile(ADD_ONE, &[0])?;
    let x = client.upload(0, &[1.0_f32, 2.0, 3.0, 4.0], &[4])?;
    let kept = program.run_without_donating(&[&[&x]], &[0])?;
    assert_eq!(kept[0][0].read::<f32>()?, [2.0, 3.0, 4.0, 5.0]);
    let mut y = program.run(&[&x])?;
    for _ in 0..3 {
        y = program.run(&[&y[0]])?;
    }
    assert_eq!(y[0].read::<f32>()?, [5.0, 6.0, 7.0, 8.0]);
    let error = x.read::<f32>().unwrap_err().to_string();
    assert!(error.contains("donated") || error.contains("deleted"), "{error}");
    let error = program.run(&[&x]).unwrap_err().to_string();
    assert!(error.contains("donated") || error.contains("deleted"), "{error}");
    Ok(())
}

#[test]
fn devices_run_a_program_together_and_by_themselves() -> XlaResult<()> {
    let Some(client) = client("devices_run_a_program_together_and_by_themselves", 2)? else { return Ok(()) };
    assert_eq!(client.devices(), 2);
    let text = "func.func public @main(%x: tensor<2xf32>) -> tensor<2xf32> {
      %sum = \"stablehlo.all_reduce\"(%x) ({
      ^bb0(%a: tensor<f32>, %b: tensor<f32>):
        %c = stablehlo.add %a, %b : tensor<f32>
        stablehlo.return %c : tensor<f32>
      }) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<2xf32>) -> tensor<2xf32>
      return %sum : tensor<2xf32>
    }";
    let program = client.compile(text, &[0, 1])?;
    let x = [client.upload(0, &[1.0_f32, 2.0], &[2])?, client.upload(1, &[10.0_f32, 20.0], &[2])?];
    let sums = program.run_on_all(&[&[&x[0]], &[&x[1]]])?;
    for results in &sums {
        assert_eq!(results[0].read::<f32>()?, [11.0, 22.0]);
    }
    let error = program.run(&[&x[0]]).unwrap_err().to_string();
    assert!(
        error.starts_with("the arguments of a program: expected a list for each of its 2 devices, got 1"),
        "{error}"
    );

    let second = client.compile(ADD_ONE, &[1])?;
    let y = second.run(&[&client.upload(1, &[0.5_f32; 4], &[4])?])?;
    assert_eq!(y[0].read::<f32>()?, [1.5; 4]);
    let error = client.compile(ADD_ONE, &[2]).unwrap_err().to_string();
    assert!(error.starts_with("a device: expected a number below 2, the number of devices, got 2"), "{error}");
    Ok(())
}

#[test]
fn files_that_are_not_plugins_are_refused() {
    let error = Plugin::load("/no/such/plugin.so").unwrap_err().to_string();
    assert!(error.starts_with("expected a PJRT plugin in /no/such/plugin.so, got no file; name the "), "{error}");
    // A file that is no library.
    let error = Plugin::load(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap_err();
    assert!(matches!(error, XlaError::NotAPlugin { .. }), "{error}");
    // A library that is no plugin: that of the C language, which each program has loaded.
    if cfg!(target_os = "linux") {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let library = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6"));
        let error = Plugin::load(library.unwrap_or("no libc")).unwrap_err().to_string();
        assert!(error.contains("got a library without the function GetPjrtApi; name"), "{error}");
    }
}

#[test]
fn errors_of_the_plugin_are_passed_through() -> XlaResult<()> {
    let Some(client) = client("errors_of_the_plugin_are_passed_through", 1)? else { return Ok(()) };
    let error = client.compile("func.func public @main(", &[0]).unwrap_err().to_string();
    assert!(error.starts_with("the PJRT plugin reports an error while compiling a program: "), "{error}");
    let program = client.compile(AFFINE, &[0])?;
    let x = client.upload(0, &[1.0_f32, 2.0], &[2])?;
    let error = program.run(&[&x]).unwrap_err().to_string();
    assert!(error.starts_with("the PJRT plugin reports an error while running a program: "), "{error}");
    // Sizes that differ from those of the program.
    assert!(program.run(&[&x, &x, &x]).and_then(|results| results[0].wait()).is_err());
    let error = client.upload(0, &[1.0_f32], &[2]).unwrap_err().to_string();
    assert!(
        error.starts_with("a tensor for a device: expected the 2 elements of shape [2], got 1 elements"),
        "{error}"
    );
    let error = x.read::<f64>().unwrap_err().to_string();
    assert!(error.starts_with("reading a tensor of a device: expected elements of type f32, got f64"), "{error}");
    let error = x.read_to::<f32>(&mut [0.0]).unwrap_err().to_string();
    assert!(error.contains("expected room for the 2 elements of shape [2], got 1 elements"), "{error}");
    Ok(())
}

#[test]
fn exhausted_memory_is_an_error() -> XlaResult<()> {
    let Some(client) = client("exhausted_memory_is_an_error", 1)? else { return Ok(()) };
    // 2⁴⁶ bytes, which no allocator grants.
    let text = "func.func public @main(%x: tensor<f32>) -> tensor<17592186044416xf32> {
      %y = stablehlo.broadcast_in_dim %x, dims = [] : (tensor<f32>) -> tensor<17592186044416xf32>
      return %y : tensor<17592186044416xf32>
    }";
    let x = client.upload(0, &[1.0_f32], &[])?;
    let result = client.compile(text, &[0]).and_then(|program| program.run(&[&x])).and_then(|y| y[0].wait());
    let error = result.unwrap_err();
    assert!(matches!(error, XlaError::OutOfMemory { .. }), "{error}");
    assert!(error.to_string().starts_with("the memory of the device is exhausted while "), "{error}");
    // The client is still usable.
    assert_eq!(x.read::<f32>()?, [1.0]);
    Ok(())
}
