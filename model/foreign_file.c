/* model/foreign_file.c - what a file is that is no model of ours, in words for an error. */
#include "model/foreign_file.h"

#include <fnmatch.h>
#include <string.h>

const char *wd_foreign_file(const unsigned char *bytes, size_t n)
{
    static const struct {
        size_t at, len;
        const char *magic, *what;
    } kinds[] = {
        {0, 4, "PK\3\4", "a zip archive, as PyTorch writes checkpoints (.bin, .pt, .pth)"},
        {0, 2, "\x80\2",
         "a Python pickle, as PyTorch writes checkpoints; such files may hold programs"},
        {0, 4, "lmgg", "a GGML file, older than GGUF"},
        {0, 4, "fmgg", "a GGML file, older than GGUF"},
        {0, 4, "tjgg", "a GGML file, older than GGUF"},
        {0, 4, "algg", "a GGLA adapter, older than GGUF"},
        {0, 4, "\x89HDF", "an HDF5 file, as Keras writes models"},
        {4, 4, "TFL3", "a TensorFlow Lite model"},
        {0, 3, "\x1f\x8b\x08", "compressed with gzip; unpack it first"},
        {0, 4, "\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"},
        {0, 6,
         "\xfd"
         "7zXZ\0",
         "compressed with xz; unpack it first"},
        {0, 6, "7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"},
        {257, 5, "ustar", "a tar archive; unpack it first"},
        {0, 24, "version https://git-lfs.",
         "a pointer of Git LFS: the model itself was not fetched"},
        {0, 14, "<!DOCTYPE html", "a web page, perhaps what a failed download left"},
        {0, 14, "<!doctype html", "a web page, perhaps what a failed download left"},
        {0, 5, "<html", "a web page, perhaps what a failed download left"},
        {0, 6, "\x93NUMPY", "a NumPy array"},
        {0, 1, "{", "a JSON text; if it belongs to a model, give its folder"},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (n >= kinds[i].at + kinds[i].len &&
            !memcmp(bytes + kinds[i].at, kinds[i].magic, kinds[i].len))
            return kinds[i].what;
    /* ONNX has no mark of its own: field 1 of a protobuf, the version, then a string or the graph.
     */
    if (n >= 4 && bytes[0] == 0x08 && bytes[1] >= 1 && bytes[1] <= 20 &&
        (bytes[2] == 0x12 || bytes[2] == 0x3a || bytes[2] == 0x42))
        return "a protobuf, as ONNX models are";
    return NULL;
}

const char *wd_foreign_name(const char *name)
{
    static const struct {
        const char *pattern, *what;
    } kinds[] = {
        {"*.gguf", "it holds a GGUF file: give that"},
        {"adapter_model.*", "it holds a LoRA adapter, not a model"},
        {"pytorch_model*.bin",
         "it holds a PyTorch checkpoint, which is not read: convert it to safetensors"},
        {"*.pth", "it holds a PyTorch checkpoint, which is not read: convert it to safetensors"},
        {"*.onnx", "it holds an ONNX model, which is not read"},
        {"*.tflite", "it holds a TensorFlow Lite model, which is not read"},
        {"tf_model.h5", "it holds a TensorFlow checkpoint, which is not read"},
        {"flax_model.msgpack", "it holds a Flax checkpoint, which is not read"},
        {"model-*-of-*.safetensors", "it holds shards, but not the index that ties them together"},
        {"consolidated*.safetensors", "it holds weights in another layout than Hugging Face's"},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (fnmatch(kinds[i].pattern, name, 0) == 0)
            return kinds[i].what;
    return NULL;
}
