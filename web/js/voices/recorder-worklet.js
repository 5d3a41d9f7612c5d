// Runs on the browser's audio thread and hands each block of the microphone's samples over to the page.

class Recorder extends AudioWorkletProcessor {
  process([input]) {
    // Copied, because the browser uses the block again.
    if (input[0]) this.port.postMessage(input[0].slice());
    return true;
  }
}

registerProcessor("declaim-recorder", Recorder);
