// AES-256-GCM in the memory of the caller. Plain JavaScript, because it is loaded by threads and processes that do not
// wait for types to be stripped.
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto';
import koffi from 'koffi';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;
const seals = /^[0-9a-f]{56}$/;

// OpenSSL: evp.h.
const EVP_CTRL_AEAD_GET_TAG = 0x10;
const EVP_CTRL_AEAD_SET_TAG = 0x11;

/**
 * OpenSSL's own calls, which Node exports for addons. Those of `node:crypto` allocate, copy and free a result of the
 * size of the block: for 1 MiB that takes six times as long as the encryption. Undefined for a Node that hides them.
 */
export function openNativeCipher(load = () => koffi.load(null)) {
  let call;
  try {
    const library = load();
    call = {
      make: library.func('void *EVP_CIPHER_CTX_new(void)'),
      // Also overwrites the key in it.
      free: library.func('void EVP_CIPHER_CTX_free(void *ctx)'),
      cipher: library.func('const void *EVP_aes_256_gcm(void)'),
      init: library.func(
        'int EVP_CipherInit_ex(void *ctx, const void *cipher, void *engine, const uint8_t *key, const uint8_t *iv, int encrypts)',
      ),
      update: library.func(
        'int EVP_CipherUpdate(void *ctx, uint8_t *to, uint8_t *count, const uint8_t *from, int length)',
      ),
      end: library.func('int EVP_CipherFinal_ex(void *ctx, uint8_t *to, uint8_t *count)'),
      control: library.func('int EVP_CIPHER_CTX_ctrl(void *ctx, int type, int argument, uint8_t *pointer)'),
      clearErrors: library.func('void ERR_clear_error(void)'),
    };
  } catch {
    return undefined;
  }
  const count = Buffer.alloc(4);
  // GCM is a stream cipher: the end gives no bytes.
  const rest = Buffer.alloc(tagBytes);

  /** Encrypts or decrypts `block` in place. Gives the result of the last call: whether the tag matched. */
  const run = (encrypts, key, nonce, place, block, tag) => {
    const context = call.make();
    const must = (done) => {
      if (done !== 1) throw new Error('OpenSSL could not encrypt or decrypt a block.');
    };
    try {
      must(call.init(context, call.cipher(), null, key, nonce, encrypts ? 1 : 0));
      must(call.update(context, null, count, place, place.length));
      if (block.length > 0) must(call.update(context, block, count, block, block.length));
      if (!encrypts) must(call.control(context, EVP_CTRL_AEAD_SET_TAG, tagBytes, tag));
      const matches = call.end(context, rest, count) === 1;
      if (encrypts) {
        must(matches ? 1 : 0);
        must(call.control(context, EVP_CTRL_AEAD_GET_TAG, tagBytes, tag));
      }
      return matches;
    } finally {
      call.free(context);
      // They would be reported by the next call of `node:crypto` in this thread.
      call.clearErrors();
    }
  };
  return {
    seal(key, nonce, place, block, tag) {
      run(true, key, nonce, place, block, tag);
    },
    open: (key, nonce, place, block, tag) => run(false, key, nonce, place, block, tag),
  };
}

export const portableCipher = {
  seal(key, nonce, place, block, tag) {
    const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes }).setAAD(place);
    cipher.update(block).copy(block);
    cipher.final();
    cipher.getAuthTag().copy(tag);
  },
  open(key, nonce, place, block, tag) {
    const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes }).setAAD(place).setAuthTag(tag);
    decipher.update(block).copy(block);
    try {
      decipher.final();
      return true;
    } catch {
      return false;
    }
  },
};

const usual = openNativeCipher() ?? portableCipher;
const checkKey = (key) => {
  // OpenSSL reads this many bytes.
  if (key.length !== 32) throw new Error('The key of a block has a different length.');
};

export function sealInPlace(key, place, block, cipher = usual) {
  checkKey(key);
  const nonce = randomFillSync(Buffer.alloc(nonceBytes));
  const tag = Buffer.alloc(tagBytes);
  cipher.seal(key, nonce, place, block, tag);
  return nonce.toString('hex') + tag.toString('hex');
}

export function openInPlace(key, place, block, seal, cipher = usual) {
  checkKey(key);
  if (seal === undefined || !seals.test(seal)) return false;
  const bytes = Buffer.from(seal, 'hex');
  const isOpen = cipher.open(key, bytes.subarray(0, nonceBytes), place, block, bytes.subarray(nonceBytes));
  if (!isOpen) block.fill(0);
  return isOpen;
}
