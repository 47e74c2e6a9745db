//! Reads machines that publish on an MQTT broker: MTConnect over MQTT, SHDR over MQTT, foreign JSON.
