// Asks the browser for a passkey, as soon as a page brings what to ask for, and sends what it says as a form.
(() => {
  "use strict";
  const form = document.getElementById("passkey");
  if (!form) return;

  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/_/g, "/").replace(/-/g, "+")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const keys = (list) => (list || []).map((key) => ({ ...key, id: bytes(key.id) }));

  const ask = async (options) => {
    const challenge = bytes(options.challenge);
    if (form.dataset.passkey === "create") {
      const user = { ...options.user, id: bytes(options.user.id) };
      return navigator.credentials.create({
        publicKey: { ...options, challenge, user, excludeCredentials: keys(options.excludeCredentials) },
      });
    }
    return navigator.credentials.get({
      publicKey: { ...options, challenge, allowCredentials: keys(options.allowCredentials) },
    });
  };

  const said = (credential) => {
    const { response } = credential;
    const answer = { clientDataJSON: text(response.clientDataJSON) };
    if (response.attestationObject) {
      answer.attestationObject = text(response.attestationObject);
      answer.transports = response.getTransports ? response.getTransports() : [];
    } else {
      answer.authenticatorData = text(response.authenticatorData);
      answer.signature = text(response.signature);
      if (response.userHandle) answer.userHandle = text(response.userHandle);
    }
    return JSON.stringify({
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      response: answer,
      extensions: JSON.stringify(credential.getClientExtensionResults()),
    });
  };

  const start = async () => {
    try {
      form.elements.credential.value = said(await ask(JSON.parse(form.dataset.options)));
      form.submit();
    } catch (error) {
      const wrong = document.getElementById("passkey-wrong");
      wrong.textContent =
        error.name === "InvalidStateError"
          ? "This passkey is known here already."
          : "Your browser gave no passkey. Start again, and follow what it asks.";
      wrong.hidden = false;
    }
  };
  start();
})();
